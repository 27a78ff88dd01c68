// What the recurrent ops share: sizes, the walk through time, the products with the hidden weights,
// and how a sequence is dealt to threads.
#pragma once

#include "gemm.h"
#include "rounding.h"
#include "scratch.h"
#include "step.h"

namespace pybp {

struct RecurrentSizes {
    std::ptrdiff_t samples;  // n
    std::ptrdiff_t rows;     // p
    std::ptrdiff_t units;    // h
    std::ptrdiff_t gates;    // g
    std::ptrdiff_t saved;    // parts of the saved gates

    template <class Op>
    RecurrentSizes(const Op& op, const Extents& extents)
        : samples(extents.rows),
          rows(extents.count(op.y)),
          units(extents.last(op.y)),
          gates(gate_count(op.cell)),
          saved(saved_count(op.cell)) {}

    std::ptrdiff_t wide() const { return gates * units; }
    std::ptrdiff_t state() const { return samples * units; }
};

// The time steps in the order in which a cell runs through them.
struct Walk {
    const Packing& packing;
    bool reverse;

    std::ptrdiff_t time(std::ptrdiff_t position) const {
        return reverse ? packing.steps - 1 - position : position;
    }
    std::ptrdiff_t before(std::ptrdiff_t t) const { return reverse ? t + 1 : t - 1; }
    std::ptrdiff_t first_row(std::ptrdiff_t t) const { return packing.offsets[t]; }
    std::ptrdiff_t size(std::ptrdiff_t t) const { return packing.sizes[t]; }
    // How many ranks of step t had a step before it; the others start there.
    std::ptrdiff_t joined(std::ptrdiff_t t) const {
        if (reverse) return t + 1 < packing.steps ? packing.sizes[t + 1] : 0;
        return t > 0 ? packing.sizes[t] : 0;
    }
};

// ranked[r] = rows[order[r]], or 0 where there are no rows; all of `units` numbers.
template <class T>
void gather_ranks(const Packing& packing, const T* rows, std::ptrdiff_t units, T* ranked) {
    if (!rows) {
        std::fill_n(ranked, packing.samples * units, T{0});
        return;
    }
    for (std::ptrdiff_t r = 0; r < packing.samples; ++r) {
        std::copy_n(rows + packing.order[r] * units, units, ranked + r * units);
    }
}

// rows[order[r]] = ranked[r], where there are rows.
template <class T>
void scatter_ranks(const Packing& packing, const T* ranked, std::ptrdiff_t units, T* rows) {
    for (std::ptrdiff_t r = 0; r < packing.samples && rows; ++r) {
        std::copy_n(ranked + r * units, units, rows + packing.order[r] * units);
    }
}

// A fixed B [depth, columns] of a product in each time step: in panels of all of its depth, or rows
// that lie `row` apart.
template <class T>
struct HiddenWeights {
    const T* data;
    std::ptrdiff_t depth;
    std::ptrdiff_t columns;
    std::ptrdiff_t row;
    bool packed;
};

// The numbers of B in panels, at any ISA level.
constexpr std::ptrdiff_t packed_size(std::ptrdiff_t depth, std::ptrdiff_t columns) {
    return depth * round_up(columns, kWidestPanel);
}

// A view of w as B [depth, columns], or of its transpose, in panels written to `packed`.
template <class T>
HiddenWeights<T> pack_weights(const Step<T>& step, const T* w, std::ptrdiff_t stride,
                              bool transposed, std::ptrdiff_t depth, std::ptrdiff_t columns,
                              T* packed);

// C[rows, columns begin ... end] (+)= A[rows, depth] * B, in the order of addition of
// kernel_table.h. `begin` lies where a panel begins; a and c are where their first columns lie.
template <class T>
struct HiddenProduct {
    const T* a;
    std::ptrdiff_t a_row;
    T* c;
    std::ptrdiff_t c_row;
    std::ptrdiff_t rows;
    std::ptrdiff_t begin;
    std::ptrdiff_t end;
    bool accumulate;
};

template <class T>
void multiply(const GemmKernels<T>& kernels, const HiddenWeights<T>& b,
              const HiddenProduct<T>& product);

// How a sequence is dealt out: by ranks, where each task runs through all steps without a word to
// the others, or by units, with all tasks meeting once a step. It never changes a bit.
struct TimeSplit {
    std::ptrdiff_t tasks;
    bool by_units;
};

// size: numbers of the hidden weights, of `bytes` each.
TimeSplit split_time(const RecurrentSizes& at, std::ptrdiff_t bytes, std::ptrdiff_t panel,
                     int threads);

// The first rank of task `index`, so that tasks have equal numbers of rows in steps [begin, end).
std::ptrdiff_t first_rank(const Packing& packing, std::ptrdiff_t begin, std::ptrdiff_t end,
                          std::ptrdiff_t index, std::ptrdiff_t tasks);

// The first unit of task `index`, where a panel begins.
inline std::ptrdiff_t first_unit(std::ptrdiff_t units, std::ptrdiff_t panel, std::ptrdiff_t index,
                                 std::ptrdiff_t tasks) {
    return std::min(units, divide_up(units, panel) * index / tasks * panel);
}

// Some ranks and units of a state.
struct StatePart {
    std::ptrdiff_t rank;
    std::ptrdiff_t rank_end;
    std::ptrdiff_t unit;
    std::ptrdiff_t unit_end;

    std::ptrdiff_t units() const { return unit_end - unit; }
    StatePart up_to_rank(std::ptrdiff_t end) const {
        return {rank, std::min(rank_end, end), unit, unit_end};
    }
    StatePart from_rank(std::ptrdiff_t begin) const {
        return {std::max(rank, begin), rank_end, unit, unit_end};
    }
    bool empty() const { return rank >= rank_end || unit >= unit_end; }
    std::ptrdiff_t rows() const { return rank_end - rank; }
};

}  // namespace pybp
