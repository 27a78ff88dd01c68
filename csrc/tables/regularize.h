// The contract of the kernels that act on gradients and weights around an update;
// csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

template <class T>
struct RegularizeKernels {
    // g[i] += l2 * w[i] + l1 * sign(w[i]), with sign(0) = 0.
    void (*penalty)(T l1, T l2, const T* w, T* g, std::ptrdiff_t count);
    // g[i] = min(max(g[i], -limit), limit); NaN stays.
    void (*clip_value)(T limit, T* g, std::ptrdiff_t count);
    // The sum of (x[i] * unit)^2, in double, in an order that follows from count alone.
    double (*sum_squares)(double unit, const T* x, std::ptrdiff_t count);
    // x[i] *= factor, multiplied in double.
    void (*scale)(double factor, T* x, std::ptrdiff_t count);
    // sums[c] = sum over r of w[r, c]^2 in double, rows in order; w has row stride `stride`.
    void (*column_squares)(const T* w, double* sums, std::ptrdiff_t stride, std::ptrdiff_t rows,
                           std::ptrdiff_t columns);
    // w[r, c] *= factors[c], multiplied in double.
    void (*scale_columns)(const double* factors, T* w, std::ptrdiff_t stride, std::ptrdiff_t rows,
                          std::ptrdiff_t columns);
};

}  // namespace pybp
