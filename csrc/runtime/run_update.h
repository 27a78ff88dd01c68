// The optimiser steps on flat buffers or on some rows, and the one that takes the place of a weight
// gradient.
#pragma once

#include <array>

#include "run_dense.h"
#include "step.h"
#include "touched_rows.h"

namespace pybp {

// Numbers of one range of an update: some 30 us of work. For less a second thread brings nothing.
inline constexpr std::ptrdiff_t kUpdateGrain = 65536;

// The scalars of a step as the kernels take them, in the order of the op's kHyper.
template <class T>
SGDStep<T> load_hyper(const SGD&, const double* h) {
    static_assert(sizeof(SGDStep<T>) == sizeof(T) * kHyperCount<SGD>);
    return {T(h[0]), T(h[1]), T(h[2]), T(h[3]), T(h[4])};
}

template <class T>
AdamStep<T> load_hyper(const Adam&, const double* h) {
    static_assert(sizeof(AdamStep<T>) == sizeof(T) * kHyperCount<Adam>);
    return {T(h[0]), T(h[1]), T(h[2]), T(h[3]), T(h[4]),
            T(h[5]), T(h[6]), T(h[7]), T(h[8]), T(h[9])};
}

// One step of SGD on a flat array; v is null without momentum.
template <class T>
void apply_sgd(const Step<T>& step, const SGDStep<T>& scalars, bool nesterov, T* w, const T* g,
               T* v, std::ptrdiff_t count) {
    parallel_ranges(step.team, count, kUpdateGrain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        step.kernels.update.sgd(scalars, nesterov, w + begin, g + begin, v ? v + begin : nullptr,
                                end - begin);
    });
}

// update(at, from, count) on ranges: the numbers of w and of the states from `at` on, those of g
// from `from` on. changed: the arrays of which rows are changed, to be fetched ahead.
template <class T, class Op, class F>
void update_ranges(const Op& op, const Step<T>& step, std::array<const T*, 4> changed,
                   const F& update) {
    if (!op.rows.present()) {
        parallel_ranges(
            step.team, step.extents.size(op.g), kUpdateGrain,
            [&](std::ptrdiff_t begin, std::ptrdiff_t end) { update(begin, begin, end - begin); });
        return;
    }
    const std::ptrdiff_t size = step.extents.last(op.g);
    const std::int32_t* rows = step.words(op.rows);
    parallel_ranges(step.team, touched_rows(rows, step.extents.size(op.rows)), row_grain(size),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t k = begin; k < end; ++k) {
                            for (const T* array : changed) {
                                if (array && k + kRowsAhead < end) {
                                    prefetch_row(array + rows[k + kRowsAhead] * size, size);
                                }
                            }
                            update(rows[k] * size, k * size, size);
                        }
                    });
}

template <class T>
void run(const SGD& op, const Step<T>& step) {
    const SGDStep<T> scalars = load_hyper<T>(op, step.hyper);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* v = step.data(op.v);
    update_ranges<T>(op, step, {w, v, nullptr, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.sgd(scalars, op.nesterov, w + at, g + from,
                                                 v ? v + at : nullptr, count);
                     });
}

// The scratch holds the gradient of the weights, then what their product needs.
template <class T>
std::ptrdiff_t gradient_bytes(std::ptrdiff_t in, std::ptrdiff_t out) {
    constexpr std::ptrdiff_t kLine = 64;
    return (in * out * std::ptrdiff_t{sizeof(T)} + kLine - 1) / kLine * kLine;
}

template <class T>
std::ptrdiff_t scratch_bytes(const SGDDense& op, const Extents& extents, int threads) {
    const std::ptrdiff_t in = extents.last(op.x);
    const std::ptrdiff_t out = extents.last(op.dy);
    return gradient_bytes<T>(in, out) + dense_scratch<T>(in, out, extents.size(op.x) / in, threads);
}

template <class T>
void run(const SGDDense& op, const Step<T>& step) {
    const SGDStep<T> scalars = load_hyper<T>(SGD{}, step.hyper);
    const std::ptrdiff_t in = step.extents.last(op.x);
    const std::ptrdiff_t out = step.extents.last(op.dy);
    const std::ptrdiff_t rows = step.extents.size(op.x) / in;
    const T* x = step.data(op.x);    // [rows, in]
    const T* dy = step.data(op.dy);  // [rows, out]
    T* w = step.data(op.w);          // [in, out]
    T* b = step.data(op.b);          // [out] or null
    auto* gradient = reinterpret_cast<T*>(step.scratch);
    if (rows == 1) {
        parallel_ranges(step.team, in, kGrain / out, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.update.sgd_outer(scalars, w + begin * out, x + begin, dy, end - begin,
                                          out);
        });
    } else {
        weight_gradient<T>(step, {x, in, in}, {dy, out, out}, rows, gradient, false,
                           step.scratch + gradient_bytes<T>(in, out));
        apply_sgd<T>(step, scalars, false, w, gradient, nullptr, in * out);
    }
    if (!b) return;
    column_sums(step, dy, out, rows, gradient, false);
    apply_sgd<T>(step, scalars, false, b, gradient, nullptr, out);
}

template <class T>
void run(const Adam& op, const Step<T>& step) {
    const AdamStep<T> scalars = load_hyper<T>(op, step.hyper);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* m = step.data(op.m);
    T* v = step.data(op.v);
    T* vmax = step.data(op.vmax);
    update_ranges<T>(op, step, {w, m, v, vmax},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.adam(scalars, op.decoupled, w + at, g + from, m + at,
                                                  v + at, vmax ? vmax + at : nullptr, count);
                     });
}

}  // namespace pybp
