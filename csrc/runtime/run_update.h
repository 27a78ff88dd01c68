// The optimiser steps on flat buffers or on some rows, and the one that takes the place of a weight
// gradient.
#pragma once

#include <array>
#include <utility>

#include "run_dense.h"
#include "step.h"
#include "touched_rows.h"

namespace pybp {

// Numbers of one range of an update: some 30 us of work. For less a second thread brings nothing.
inline constexpr std::ptrdiff_t kUpdateGrain = 65536;

template <class Scalars, class T, std::size_t... index>
Scalars make_scalars(double rate, const double* h, std::index_sequence<index...>) {
    return {static_cast<T>(rate), static_cast<T>(h[index + 1])...};
}

// The scalars of a step as the kernels take them, in the order of the op's kHyper: the rate, times
// the op's scale, and the others.
template <template <class> class Scalars, class T, class Op>
Scalars<T> load_hyper(const Op& op, const Step<T>& step) {
    static_assert(sizeof(Scalars<T>) == sizeof(T) * kHyperCount<Op>);
    return make_scalars<Scalars<T>, T>(step.hyper[0] * op.scale, step.hyper,
                                       std::make_index_sequence<kHyperCount<Op> - 1>{});
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
    const SGDStep<T> scalars = load_hyper<SGDStep>(op, step);
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
    const SGDStep<T> scalars = load_hyper<SGDStep>(op, step);
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
    const AdamStep<T> scalars = load_hyper<AdamStep>(op, step);
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

template <class T>
void run(const Nadam& op, const Step<T>& step) {
    const NadamStep<T> scalars = load_hyper<NadamStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* m = step.data(op.m);
    T* v = step.data(op.v);
    update_ranges<T>(op, step, {w, m, v, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.nadam(scalars, op.decoupled, w + at, g + from, m + at,
                                                   v + at, count);
                     });
}

template <class T>
void run(const Radam& op, const Step<T>& step) {
    const RadamStep<T> scalars = load_hyper<RadamStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* m = step.data(op.m);
    T* v = step.data(op.v);
    update_ranges<T>(op, step, {w, m, v, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.radam(scalars, op.decoupled, w + at, g + from, m + at,
                                                   v + at, count);
                     });
}

template <class T>
void run(const Adamax& op, const Step<T>& step) {
    const AdamaxStep<T> scalars = load_hyper<AdamaxStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* m = step.data(op.m);
    T* u = step.data(op.u);
    update_ranges<T>(op, step, {w, m, u, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.adamax(scalars, w + at, g + from, m + at, u + at,
                                                    count);
                     });
}

template <class T>
void run(const Adagrad& op, const Step<T>& step) {
    const AdagradStep<T> scalars = load_hyper<AdagradStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* sum = step.data(op.sum);
    update_ranges<T>(op, step, {w, sum, nullptr, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.adagrad(scalars, w + at, g + from, sum + at, count);
                     });
}

template <class T>
void run(const RMSProp& op, const Step<T>& step) {
    const RMSPropStep<T> scalars = load_hyper<RMSPropStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* v = step.data(op.v);
    T* m = step.data(op.m);
    T* velocity = step.data(op.velocity);
    update_ranges<T>(op, step, {w, v, m, velocity},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.rmsprop(scalars, w + at, g + from, v + at,
                                                     m ? m + at : nullptr,
                                                     velocity ? velocity + at : nullptr, count);
                     });
}

template <class T>
void run(const Adadelta& op, const Step<T>& step) {
    const AdadeltaStep<T> scalars = load_hyper<AdadeltaStep>(op, step);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* v = step.data(op.v);
    T* u = step.data(op.u);
    update_ranges<T>(op, step, {w, v, u, nullptr},
                     [&](std::ptrdiff_t at, std::ptrdiff_t from, std::ptrdiff_t count) {
                         step.kernels.update.adadelta(scalars, w + at, g + from, v + at, u + at,
                                                      count);
                     });
}

}  // namespace pybp
