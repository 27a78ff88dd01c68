// The optimiser steps on flat buffers.
#pragma once

#include "step.h"

namespace pybp {

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

template <class T>
void run(const SGD& op, const Step<T>& step) {
    const SGDStep<T> scalars = load_hyper<T>(op, step.hyper);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* v = step.data(op.v);
    parallel_ranges(step.team, step.extents.size(op.g), kGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.update.sgd(scalars, op.nesterov, w + begin, g + begin,
                                                v ? v + begin : nullptr, end - begin);
                    });
}

template <class T>
void run(const Adam& op, const Step<T>& step) {
    const AdamStep<T> scalars = load_hyper<T>(op, step.hyper);
    const T* g = step.data(op.g);
    T* w = step.data(op.w);
    T* m = step.data(op.m);
    T* v = step.data(op.v);
    T* vmax = step.data(op.vmax);
    parallel_ranges(step.team, step.extents.size(op.g), kGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.update.adam(scalars, op.decoupled, w + begin, g + begin,
                                                 m + begin, v + begin,
                                                 vmax ? vmax + begin : nullptr, end - begin);
                    });
}

}  // namespace pybp
