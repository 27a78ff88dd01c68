// Backpropagation through time: from the last step to the first, the gradients of the cell and
// their product with the transposed hidden weights, which is what the step before gets.
#include "recurrent.h"
#include "run_recurrent.h"

namespace pybp {
namespace {

template <class T>
struct BackwardScratch {
    T* weights;  // W_hh transposed, in panels or as rows
    T* dh;       // [n, h] by rank: what later steps add to the gradient of h
    T* dc;       // the same of c, lstm alone
    T* start;    // [n, h] by rank: h0 of gru, c0 of lstm
    T* mask;     // [n, h] by rank; null without one
    T* product;  // [n, h], where there is a mask
    std::ptrdiff_t bytes;

    BackwardScratch(const RecurrentGrad& op, const RecurrentSizes& at, Scratch scratch) {
        weights = scratch.take<T>(packed_size(at.wide(), at.units));
        dh = scratch.take<T>(at.state());
        dc = op.cell == Cell::lstm ? scratch.take<T>(at.state()) : nullptr;
        start = at.saved > 0 ? scratch.take<T>(at.state()) : nullptr;
        mask = op.mask.present() ? scratch.take<T>(at.state()) : nullptr;
        product = op.mask.present() ? scratch.take<T>(at.state()) : nullptr;
        bytes = scratch.used();
    }
};

template <class T>
class Backward {
  public:
    Backward(const RecurrentGrad& op, const Step<T>& step)
        : op_(op),
          step_(step),
          packing_(step.packing(op.packing)),
          walk_{packing_, op.reverse},
          at_(op, step.extents),
          scratch_(op, at_, Scratch(step.scratch)),
          split_(split_time(at_, sizeof(T), step.kernels.gemm.panel, step.threads)),
          dq_(op.cell == Cell::gru ? step.data(op.dq) : step.data(op.dz)) {}

    void run() {
        start();
        if (split_.by_units) {
            run_by_units();
        } else {
            run_by_ranks();
        }
        scatter_ranks<T>(packing_, scratch_.dh, at_.units, step_.data(op_.dh0));
        scatter_ranks<T>(packing_, scratch_.dc, at_.units, step_.data(op_.dc0));
    }

  private:
    void start() {
        const std::ptrdiff_t h = at_.units;
        gather_ranks<T>(packing_, step_.data(op_.dhn), h, scratch_.dh);
        if (scratch_.dc) gather_ranks<T>(packing_, step_.data(op_.dcn), h, scratch_.dc);
        if (scratch_.start) {
            gather_ranks<T>(packing_, step_.data(op_.cell == Cell::gru ? op_.h0 : op_.c0), h,
                            scratch_.start);
        }
        if (scratch_.mask) gather_ranks<T>(packing_, step_.data(op_.mask), h, scratch_.mask);
        transpose_weights();
    }

    // Few rows read B where it lies.
    void transpose_weights() {
        const T* w = step_.data(op_.w_hh);
        const std::ptrdiff_t h = at_.units;
        const std::ptrdiff_t wide = at_.wide();
        if (at_.samples > kFewRows) {
            weights_ = pack_weights(step_, w, wide, true, wide, h, scratch_.weights);
            return;
        }
        parallel_ranges(step_.team, wide, kGrain / h,
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            step_.kernels.elementwise.transpose(
                                w + begin, wide, scratch_.weights + begin * h, h, end - begin);
                        });
        weights_ = {scratch_.weights, wide, h, h, false};
    }

    // The walk from its end.
    std::ptrdiff_t time(std::ptrdiff_t position) const {
        return walk_.time(packing_.steps - 1 - position);
    }

    void run_by_ranks() {
        step_.team.parallel_for(split_.tasks, [&](std::ptrdiff_t task) {
            const StatePart part{first_rank(packing_, 0, packing_.steps, task, split_.tasks),
                                 first_rank(packing_, 0, packing_.steps, task + 1, split_.tasks), 0,
                                 at_.units};
            for (std::ptrdiff_t s = 0; s < packing_.steps; ++s) {
                run_cells(time(s), part);
                multiply_back(time(s), part);
            }
        });
    }

    // The product of a step needs all units of its cells, so tasks meet between the two.
    void run_by_units() {
        const std::ptrdiff_t panel = step_.kernels.gemm.panel;
        for (std::ptrdiff_t s = 0; s <= packing_.steps; ++s) {
            step_.team.parallel_for(split_.tasks, [&](std::ptrdiff_t task) {
                const StatePart part{0, at_.samples,
                                     first_unit(at_.units, panel, task, split_.tasks),
                                     first_unit(at_.units, panel, task + 1, split_.tasks)};
                if (s > 0) multiply_back(time(s - 1), part);
                if (s < packing_.steps) run_cells(time(s), part);
            });
        }
    }

    // The cells of step t, whose ranks have a step before it or start there.
    void run_cells(std::ptrdiff_t t, const StatePart& part) {
        const StatePart all = part.up_to_rank(walk_.size(t));
        const std::ptrdiff_t joined = walk_.joined(t);
        const StatePart later = all.up_to_rank(joined);
        if (!later.empty()) {
            const T* states =
                step_.data(op_.cell == Cell::lstm ? Operand(op_.cells) : Operand(op_.y));
            run_cells(t, later, states + walk_.first_row(walk_.before(t)) * at_.units);
        }
        const StatePart first = all.from_rank(joined);
        if (!first.empty()) run_cells(t, first, scratch_.start);
    }

    // before: c or h before the step, [ranks, h].
    void run_cells(std::ptrdiff_t t, const StatePart& part, const T* before) {
        const std::ptrdiff_t row = walk_.first_row(t) + part.rank;
        const std::ptrdiff_t in_state = part.rank * at_.units + part.unit;
        const std::ptrdiff_t in_rows = row * at_.units + part.unit;
        const auto in = [&](Operand operand) {
            T* data = step_.data(operand);
            return data ? data + in_rows : nullptr;
        };
        CellBackward<T> cell{};
        cell.cell = op_.cell;
        cell.rows = part.rows();
        cell.units = part.units();
        cell.stride = at_.units;
        cell.y = in(op_.y);
        cell.gates_row = at_.saved * at_.units;
        if (at_.saved > 0) {
            cell.gates = step_.data(op_.gates) + row * cell.gates_row + part.unit;
            cell.previous = before + in_state;
        }
        cell.cells = in(op_.cells);
        cell.dy = in(op_.dy);
        cell.dh = scratch_.dh + in_state;
        cell.dc = scratch_.dc ? scratch_.dc + in_state : nullptr;
        cell.dz_row = at_.wide();
        cell.dz = step_.data(op_.dz) + row * at_.wide() + part.unit;
        cell.dq = dq_ + row * at_.wide() + part.unit;
        step_.kernels.recurrent.backward(cell);
    }

    // dh of the step before t, or of h0: dq @ w_hh.T, of gru added to the carry.
    void multiply_back(std::ptrdiff_t t, const StatePart& of_all) {
        const StatePart part =
            of_all.up_to_rank(op_.dh0.present() ? walk_.size(t) : walk_.joined(t));
        if (part.empty()) return;
        const bool carry = op_.cell == Cell::gru;
        T* target = scratch_.mask ? scratch_.product : scratch_.dh;
        HiddenProduct<T> product{};
        product.a = dq_ + (walk_.first_row(t) + part.rank) * at_.wide();
        product.a_row = at_.wide();
        product.c = target + part.rank * at_.units;
        product.c_row = at_.units;
        product.rows = part.rows();
        product.begin = part.unit;
        product.end = part.unit_end;
        product.accumulate = carry && !scratch_.mask;
        multiply(step_.kernels.gemm, weights_, product);
        for (std::ptrdiff_t r = part.rank; r < part.rank_end && scratch_.mask; ++r) {
            const std::ptrdiff_t at = r * at_.units + part.unit;
            step_.kernels.recurrent.multiply(scratch_.product + at, scratch_.mask + at, carry,
                                             scratch_.dh + at, part.units());
        }
    }

    const RecurrentGrad& op_;
    const Step<T>& step_;
    const Packing& packing_;
    Walk walk_;
    RecurrentSizes at_;
    BackwardScratch<T> scratch_;
    TimeSplit split_;
    T* dq_;  // [p, wide]: the gradient of q
    HiddenWeights<T> weights_{};
};

}  // namespace

template <class T>
std::ptrdiff_t scratch_bytes(const RecurrentGrad& op, const Extents& extents, int) {
    return BackwardScratch<T>(op, RecurrentSizes(op, extents), Scratch()).bytes;
}

template <class T>
void run(const RecurrentGrad& op, const Step<T>& step) {
    Backward<T>(op, step).run();
}

template std::ptrdiff_t scratch_bytes<float>(const RecurrentGrad&, const Extents&, int);
template std::ptrdiff_t scratch_bytes<double>(const RecurrentGrad&, const Extents&, int);
template void run<float>(const RecurrentGrad&, const Step<float>&);
template void run<double>(const RecurrentGrad&, const Step<double>&);

}  // namespace pybp
