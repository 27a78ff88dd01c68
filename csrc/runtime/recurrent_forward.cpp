// A cell through time: the product of all inputs first, then step by step the product with the
// hidden weights, added onto it, and the cell.
#include "recurrent.h"
#include "run_recurrent.h"

namespace pybp {
namespace {

// So much of z is made at a time that the steps find it in the second-level cache.
constexpr std::ptrdiff_t kChunkBytes = 256 * 1024;
constexpr std::ptrdiff_t kManyRows = 512;

// The rows of z that are made at a time, whole steps. Where a single step is too much, they are
// enough to read large input weights seldom: all of them if they are saved anyway.
template <class T>
std::ptrdiff_t chunk_rows(const Recurrent& op, const RecurrentSizes& at, std::ptrdiff_t in) {
    const std::ptrdiff_t row = at.wide() * static_cast<std::ptrdiff_t>(sizeof(T));
    const bool large = at.samples * row > kChunkBytes;
    if (large && (op.gates.present() || at.saved == 0)) return at.rows;
    const std::ptrdiff_t least = large ? std::min(in, kManyRows) : 1;
    return std::min(at.rows, std::max({kChunkBytes / row, least, at.samples}));
}

template <class T>
struct ForwardScratch {
    T* bias;        // [wide]: of z
    T* weights;     // panels
    T* state[2];    // [n, h] by rank: h of the last step and of the next, by turns
    T* masked[2];   // the same times the mask; null without one
    T* mask;        // [n, h] by rank
    T* c;           // [n, h] by rank, lstm alone
    T* z;           // [chunk_rows, saved * h] where it is not saved
    char* product;  // for gemm
    std::ptrdiff_t bytes;

    ForwardScratch(const Recurrent& op, const RecurrentSizes& at, std::ptrdiff_t in, int threads,
                   Scratch scratch) {
        const bool unsaved = !op.gates.present() && at.saved > 0;
        bias = scratch.take<T>(at.wide());
        weights = scratch.take<T>(at.gates * packed_size(at.units, at.units));
        for (T*& one : state) one = scratch.take<T>(at.state());
        for (T*& one : masked) one = op.mask.present() ? scratch.take<T>(at.state()) : nullptr;
        mask = op.mask.present() ? scratch.take<T>(at.state()) : nullptr;
        c = op.cell == Cell::lstm ? scratch.take<T>(at.state()) : nullptr;
        const std::ptrdiff_t rows = chunk_rows<T>(op, at, in);
        z = unsaved ? scratch.take<T>(rows * at.saved * at.units) : nullptr;
        const auto most =
            static_cast<std::ptrdiff_t>(gemm_scratch_bytes<T>(rows, at.wide(), in, threads));
        product = scratch.take<char>(most);
        bytes = scratch.used();
    }
};

template <class T>
class Forward {
  public:
    Forward(const Recurrent& op, const Step<T>& step)
        : op_(op),
          step_(step),
          packing_(step.packing(op.packing)),
          walk_{packing_, op.reverse},
          at_(op, step.extents),
          in_(step.extents.last(op.x)),
          scratch_(op, at_, in_, step.threads, Scratch(step.scratch)),
          split_(split_time(at_, sizeof(T), step.kernels.gemm.panel, step.threads)) {
        gates_ = at_.saved == 0 ? step.data(op.y) : step.data(op.gates);
        gates_row_ = std::max(at_.saved, std::ptrdiff_t{1}) * at_.units;
    }

    void run() {
        start_states();
        join_biases();
        view_weights();
        const std::ptrdiff_t most = chunk_rows<T>(op_, at_, in_);
        for (std::ptrdiff_t begin = 0; begin < packing_.steps;) {
            std::ptrdiff_t end = begin;
            for (std::ptrdiff_t rows = 0; end < packing_.steps; ++end) {
                rows += walk_.size(walk_.time(end));
                if (rows > most) break;
            }
            run_steps(begin, end);
            begin = end;
        }
        write_last_states();
    }

  private:
    // The columns of W_hh whose product goes side by side into z.
    struct Group {
        HiddenWeights<T> weights;
        std::ptrdiff_t column;  // of z
        bool accumulate;
    };

    void start_states() {
        const std::ptrdiff_t h = at_.units;
        gather_ranks<T>(packing_, step_.data(op_.h0), h, scratch_.state[0]);
        std::copy_n(scratch_.state[0], at_.state(), scratch_.state[1]);
        if (scratch_.c) gather_ranks<T>(packing_, step_.data(op_.c0), h, scratch_.c);
        if (!scratch_.mask) return;
        gather_ranks<T>(packing_, step_.data(op_.mask), h, scratch_.mask);
        // A sample that starts late finds its state in either.
        for (int i = 0; i < 2; ++i) {
            step_.kernels.recurrent.multiply(scratch_.state[i], scratch_.mask, false,
                                             scratch_.masked[i], at_.state());
        }
    }

    // Both biases can be added at once, but for q_n of gru.
    void join_biases() {
        const T* b_ih = step_.data(op_.b_ih);
        const T* b_hh = step_.data(op_.b_hh);
        const std::ptrdiff_t joined = at_.wide() - (op_.cell == Cell::gru ? at_.units : 0);
        for (std::ptrdiff_t j = 0; j < at_.wide(); ++j) {
            const T own = b_ih ? b_ih[j] : T{0};
            scratch_.bias[j] = b_hh && j < joined ? own + b_hh[j] : own;
        }
        q_bias_ = op_.cell == Cell::gru && b_hh ? b_hh + joined : nullptr;
    }

    // Split by units, each part of z is a group of its own, so that a task has the same units of
    // all; else only q_n of gru is apart.
    void view_weights() {
        const std::ptrdiff_t h = at_.units;
        const bool gru = op_.cell == Cell::gru;
        if (split_.by_units) {
            for (std::ptrdiff_t g = 0; g < at_.gates; ++g) add_group(g * h, h, gru && g == 2);
        } else {
            add_group(0, gru ? 2 * h : at_.wide(), false);
            if (gru) add_group(2 * h, h, true);
        }
    }

    void add_group(std::ptrdiff_t column, std::ptrdiff_t columns, bool apart) {
        const std::ptrdiff_t h = at_.units;
        const T* w = step_.data(op_.w_hh) + column;
        Group& group = groups_[group_count_++];
        if (at_.samples <= kFewRows || packing_.steps <= kFewSteps) {
            group.weights = {w, h, columns, at_.wide(), false};
        } else {
            group.weights =
                pack_weights(step_, w, at_.wide(), false, h, columns, scratch_.weights + packed_);
            packed_ += packed_size(h, columns);
        }
        group.column = apart ? 3 * h : column;
        group.accumulate = !apart;
    }

    // The positions [begin, end) of the walk.
    void run_steps(std::ptrdiff_t begin, std::ptrdiff_t end) {
        const std::ptrdiff_t first = walk_.time(op_.reverse ? end - 1 : begin);
        const std::ptrdiff_t last = walk_.time(op_.reverse ? begin : end - 1) + 1;
        first_row_ = scratch_.z ? packing_.offsets[first] : 0;
        multiply_inputs(packing_.offsets[first], packing_.offsets[last] - packing_.offsets[first]);
        if (split_.by_units) {
            const std::ptrdiff_t panel = step_.kernels.gemm.panel;
            for (std::ptrdiff_t s = begin; s < end; ++s) {
                step_.team.parallel_for(split_.tasks, [&](std::ptrdiff_t task) {
                    run_step(s, {0, at_.samples, first_unit(at_.units, panel, task, split_.tasks),
                                 first_unit(at_.units, panel, task + 1, split_.tasks)});
                });
            }
            return;
        }
        step_.team.parallel_for(split_.tasks, [&](std::ptrdiff_t task) {
            const StatePart part{first_rank(packing_, first, last, task, split_.tasks),
                                 first_rank(packing_, first, last, task + 1, split_.tasks), 0,
                                 at_.units};
            for (std::ptrdiff_t s = begin; s < end; ++s) run_step(s, part);
        });
    }

    T* gates_at(std::ptrdiff_t row) const {
        T* gates = scratch_.z ? scratch_.z : gates_;
        return gates + (row - first_row_) * gates_row_;
    }

    void multiply_inputs(std::ptrdiff_t row, std::ptrdiff_t rows) {
        GemmArgs<T> args{};
        args.a = step_.data(op_.x) + row * in_;  // [rows, in]
        args.a_stride = in_;
        args.b = step_.data(op_.w_ih);  // [in, wide]
        args.b_stride = at_.wide();
        args.c = gates_at(row);  // [rows, wide]
        args.c_stride = gates_row_;
        args.m = rows;
        args.n = at_.wide();
        args.k = in_;
        if (op_.b_ih.present() || op_.b_hh.present()) {
            args.epilogue = Epilogue::bias_activate;
            args.bias = scratch_.bias;
        }
        gemm(step_.kernels, step_.team, args, step_.threads, scratch_.product);
    }

    void run_step(std::ptrdiff_t position, const StatePart& of_all) {
        const std::ptrdiff_t t = walk_.time(position);
        const StatePart part = of_all.up_to_rank(walk_.size(t));
        if (part.empty()) return;
        const std::ptrdiff_t row = walk_.first_row(t) + part.rank;
        const std::ptrdiff_t from = position % 2;
        T* gates = gates_at(row);
        HiddenProduct<T> product{};
        product.a =
            (scratch_.mask ? scratch_.masked : scratch_.state)[from] + part.rank * at_.units;
        product.a_row = at_.units;
        product.c_row = gates_row_;
        product.rows = part.rows();
        product.begin = part.unit;
        for (std::ptrdiff_t g = 0; g < group_count_; ++g) {
            const Group& group = groups_[g];
            product.c = gates + group.column;
            product.end = split_.by_units ? part.unit_end : group.weights.columns;
            product.accumulate = group.accumulate;
            multiply(step_.kernels.gemm, group.weights, product);
        }
        run_cell(part, row, from, gates + part.unit);
    }

    void run_cell(const StatePart& part, std::ptrdiff_t row, std::ptrdiff_t from, T* gates) {
        const std::ptrdiff_t in_state = part.rank * at_.units + part.unit;
        const std::ptrdiff_t in_rows = row * at_.units + part.unit;
        T* cells = step_.data(op_.cells);
        CellForward<T> cell{};
        cell.cell = op_.cell;
        cell.rows = part.rows();
        cell.units = part.units();
        cell.stride = at_.units;
        cell.gates = gates;
        cell.gates_row = gates_row_;
        cell.q_bias = q_bias_ ? q_bias_ + part.unit : nullptr;
        cell.previous = scratch_.state[from] + in_state;
        cell.h = scratch_.state[1 - from] + in_state;
        cell.mask = scratch_.mask ? scratch_.mask + in_state : nullptr;
        cell.masked = scratch_.mask ? scratch_.masked[1 - from] + in_state : nullptr;
        cell.y = step_.data(op_.y) + in_rows;
        cell.c = scratch_.c ? scratch_.c + in_state : nullptr;
        cell.cells = cells ? cells + in_rows : nullptr;
        step_.kernels.recurrent.forward(cell);
    }

    void write_last_states() {
        scatter_ranks<T>(packing_, scratch_.c, at_.units, step_.data(op_.cn));
        T* hn = step_.data(op_.hn);
        const T* y = step_.data(op_.y);
        for (std::ptrdiff_t r = 0; r < at_.samples && hn; ++r) {
            const std::ptrdiff_t length = packing_.lengths[packing_.order[r]];
            const T* last = scratch_.state[0] + r * at_.units;  // of no steps: as it was
            if (length > 0) {
                const std::ptrdiff_t t = op_.reverse ? 0 : length - 1;
                last = y + (walk_.first_row(t) + r) * at_.units;
            }
            std::copy_n(last, at_.units, hn + packing_.order[r] * at_.units);
        }
    }

    // Packing the weights pays for more steps than these.
    static constexpr std::ptrdiff_t kFewSteps = 2;

    const Recurrent& op_;
    const Step<T>& step_;
    const Packing& packing_;
    Walk walk_;
    RecurrentSizes at_;
    std::ptrdiff_t in_;
    ForwardScratch<T> scratch_;
    TimeSplit split_;
    T* gates_;  // [p, gates_row_] or null
    std::ptrdiff_t gates_row_;
    std::ptrdiff_t first_row_ = 0;  // of what gates_at() gives
    const T* q_bias_ = nullptr;
    Group groups_[4]{};
    std::ptrdiff_t group_count_ = 0;
    std::ptrdiff_t packed_ = 0;  // numbers of scratch_.weights in use
};

}  // namespace

template <class T>
std::ptrdiff_t scratch_bytes(const Recurrent& op, const Extents& extents, int threads) {
    const RecurrentSizes at(op, extents);
    return ForwardScratch<T>(op, at, extents.last(op.x), threads, Scratch()).bytes;
}

template <class T>
void run(const Recurrent& op, const Step<T>& step) {
    Forward<T>(op, step).run();
}

template std::ptrdiff_t scratch_bytes<float>(const Recurrent&, const Extents&, int);
template std::ptrdiff_t scratch_bytes<double>(const Recurrent&, const Extents&, int);
template void run<float>(const Recurrent&, const Step<float>&);
template void run<double>(const Recurrent&, const Step<double>&);

}  // namespace pybp
