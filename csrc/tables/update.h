// The contract of the optimiser steps' kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

// The scalars of one step, in the order of the ops' `hyper` (pybp.program.ops). A gain is 1 - beta,
// taken in double before it was rounded.
template <class T>
struct SGDStep {
    T lr, sign, weight_decay, momentum, gain;
};
template <class T>
struct AdamStep {
    T lr, sign, weight_decay, beta1, gain1, beta2, gain2, eps, correction1, sqrt_correction2;
};
template <class T>
struct NadamStep {
    T lr, sign, weight_decay, beta1, gain1, beta2, gain2, eps, slope_part, mean_part,
        sqrt_correction2;
};
template <class T>
struct RadamStep {
    T lr, sign, weight_decay, beta1, gain1, beta2, gain2, eps, correction1, rectifier;
};
template <class T>
struct AdamaxStep {
    T lr, sign, weight_decay, beta1, gain1, beta2, eps, correction1;
};
template <class T>
struct AdagradStep {
    T lr, sign, weight_decay, eps;
};
template <class T>
struct RMSPropStep {
    T lr, sign, weight_decay, alpha, gain, eps, momentum;
};
template <class T>
struct AdadeltaStep {
    T lr, sign, weight_decay, rho, gain, eps;
};

// One pass each over w, g and the states [count]; the ops of the same names have the equations.
template <class T>
struct UpdateKernels {
    void (*sgd)(const SGDStep<T>& step, bool nesterov, T* w, const T* g, T* v /* or null */,
                std::ptrdiff_t count);
    // The same step for w [in, out] and the gradient g[i, j] = x[i] * dy[j] of a single row: a row
    // of w that x and no decay can change is neither read nor written.
    void (*sgd_outer)(const SGDStep<T>& step, T* w, const T* x, const T* dy, std::ptrdiff_t in,
                      std::ptrdiff_t out);
    // The step of sgd_outer for columns [out] of w whose rows are `stride` apart, and the product
    // of the next row with them, y = next @ w, in one pass: the bits of one after the other.
    void (*sgd_sweep)(const SGDStep<T>& step, T* w, std::ptrdiff_t stride, const T* x, const T* dy,
                      const T* next, T* y, std::ptrdiff_t in, std::ptrdiff_t out);
    void (*adam)(const AdamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v,
                 T* vmax /* or null */, std::ptrdiff_t count);
    void (*nadam)(const NadamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v,
                  std::ptrdiff_t count);
    void (*radam)(const RadamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v,
                  std::ptrdiff_t count);
    void (*adamax)(const AdamaxStep<T>& step, T* w, const T* g, T* m, T* u, std::ptrdiff_t count);
    void (*adagrad)(const AdagradStep<T>& step, T* w, const T* g, T* sum, std::ptrdiff_t count);
    void (*rmsprop)(const RMSPropStep<T>& step, T* w, const T* g, T* v, T* m /* or null */,
                    T* velocity /* or null */, std::ptrdiff_t count);
    void (*adadelta)(const AdadeltaStep<T>& step, T* w, const T* g, T* v, T* u,
                     std::ptrdiff_t count);
};

}  // namespace pybp
