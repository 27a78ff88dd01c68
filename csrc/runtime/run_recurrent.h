// The recurrent ops. The two that walk through time have files of their own.
#pragma once

#include "recurrent.h"
#include "run_dense.h"

namespace pybp {

template <class T>
std::ptrdiff_t scratch_bytes(const Recurrent& op, const Extents& extents, int threads);
template <class T>
void run(const Recurrent& op, const Step<T>& step);

template <class T>
std::ptrdiff_t scratch_bytes(const RecurrentGrad& op, const Extents& extents, int threads);
template <class T>
void run(const RecurrentGrad& op, const Step<T>& step);

// ---------------------------------------------------------------- the gradient of the weights

template <class T>
struct HiddenGradScratch {
    T* states;  // [p, h]: the state before each step
    char* product;
    std::ptrdiff_t bytes;

    HiddenGradScratch(std::ptrdiff_t rows, std::ptrdiff_t units, std::ptrdiff_t wide, int threads,
                      Scratch scratch) {
        states = scratch.take<T>(rows * units);
        product = scratch.take<char>(dense_scratch<T>(units, wide, rows, threads));
        bytes = scratch.used();
    }
};

template <class T>
std::ptrdiff_t scratch_bytes(const RecurrentGradWeight& op, const Extents& extents, int threads) {
    return HiddenGradScratch<T>(extents.count(op.y), extents.last(op.y), extents.last(op.dq),
                                threads, Scratch())
        .bytes;
}

// states[row of a step] = the state before it, times the mask.
template <class T>
void gather_states(const RecurrentGradWeight& op, const Step<T>& step, T* states) {
    const Packing& packing = step.packing(op.packing);
    const Walk walk{packing, op.reverse};
    const std::ptrdiff_t h = step.extents.last(op.y);
    const T* y = step.data(op.y);
    const T* h0 = step.data(op.h0);
    const T* mask = step.data(op.mask);
    const auto gather = [&](std::ptrdiff_t t, std::ptrdiff_t r) {
        const std::ptrdiff_t sample = packing.order[r] * h;
        T* state = states + (walk.first_row(t) + r) * h;
        const bool first = r >= walk.joined(t);
        const T* from = first ? h0 : y + (walk.first_row(walk.before(t)) + r) * h;
        if (!from) {
            std::fill_n(state, h, T{0});
        } else if (mask) {
            step.kernels.recurrent.multiply(from + (first ? sample : 0), mask + sample, false,
                                            state, h);
        } else {
            std::copy_n(from + (first ? sample : 0), h, state);
        }
    };
    parallel_ranges(step.team, packing.steps, kGrain / (packing.samples * h),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t t = begin; t < end; ++t) {
                            for (std::ptrdiff_t r = 0; r < walk.size(t); ++r) gather(t, r);
                        }
                    });
}

// Of equal lengths the states lie in y, one step away, and in h0.
template <class T>
void multiply_in_place(const RecurrentGradWeight& op, const Step<T>& step, char* scratch) {
    const std::ptrdiff_t n = step.extents.rows;
    const std::ptrdiff_t h = step.extents.last(op.y);
    const std::ptrdiff_t wide = step.extents.last(op.dq);
    const std::ptrdiff_t later = step.extents.count(op.y) - n;
    const T* y = step.data(op.y) + (op.reverse ? n * h : 0);
    const T* dq = step.data(op.dq);
    const T* h0 = step.data(op.h0);
    weight_gradient<T>(step, {y, h, h}, {dq + (op.reverse ? 0 : n * wide), wide, wide}, later,
                       step.data(op.dw), op.accumulate, scratch);
    if (!h0) return;
    weight_gradient<T>(step, {h0, h, h}, {dq + (op.reverse ? later * wide : 0), wide, wide}, n,
                       step.data(op.dw), true, scratch);
}

template <class T>
void run(const RecurrentGradWeight& op, const Step<T>& step) {
    const Packing& packing = step.packing(op.packing);
    const std::ptrdiff_t rows = step.extents.count(op.y);
    const std::ptrdiff_t h = step.extents.last(op.y);
    const std::ptrdiff_t wide = step.extents.last(op.dq);
    const HiddenGradScratch<T> scratch(rows, h, wide, step.threads, Scratch(step.scratch));
    const T* dq = step.data(op.dq);
    if (!op.mask.present() && rows > 0 && rows == packing.samples * packing.steps) {
        multiply_in_place(op, step, scratch.product);
    } else {
        gather_states(op, step, scratch.states);
        weight_gradient<T>(step, {scratch.states, h, h}, {dq, wide, wide}, rows, step.data(op.dw),
                           op.accumulate, scratch.product);
    }
    if (!op.db.present()) return;
    T* db = step.data(op.db);
    if (rows > 0) {
        column_sums(step, dq, wide, rows, db, op.accumulate);
    } else if (!op.accumulate) {
        std::fill_n(db, wide, T{0});
    }
}

// ------------------------------------------------------------------------------- the mask

template <class T>
void run(const DropMask& op, const Step<T>& step) {
    T* y = step.data(op.y);
    parallel_ranges(
        step.team, step.extents.size(op.y), kGrain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            std::fill(y + begin, y + end, T{1});
            step.kernels.elementwise.dropout(step.seed, static_cast<std::uint32_t>(op.stream),
                                             step.number, op.p, y + begin, y + begin, begin,
                                             end - begin);
        });
}

}  // namespace pybp
