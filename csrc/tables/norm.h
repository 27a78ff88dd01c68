// The contract of the normalisations' kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

// A block of equal shape of one or more arrays, whose rows are `stride` apart.
struct NormBlock {
    std::ptrdiff_t stride;
    std::ptrdiff_t rows;
    std::ptrdiff_t columns;
};

// An incoming gradient dy, times the slope of an activation that follows from its output y.
template <class T>
struct SlopedGradient {
    const T* dy;  // [rows, columns]
    const T* y;   // [rows, columns], or null where the activation is the identity
    Activation function;
    T alpha;
};

template <class T>
struct NormKernels {
    // sums[c] = sum over r of (x[r, c] - mean[c])^2; the rows in order, as one chain.
    void (*squares)(const NormBlock& block, const T* x, const T* mean, T* sums);
    // totals[c] += sum over r of partials[r, c]; partials [rows, columns], its rows in order and
    // `stride` apart.
    void (*add_partials)(const T* partials, double* totals, std::ptrdiff_t stride,
                         std::ptrdiff_t rows, std::ptrdiff_t columns);

    // y = act((x - mean) * scale + shift), with mean, scale, shift [columns]; x, y contiguous.
    void (*batch_norm)(Activation function, T alpha, const T* x, const T* mean, const T* scale,
                       const T* shift, T* y, std::ptrdiff_t rows, std::ptrdiff_t columns);
    // With g = dy * slope: sums[c] = sum of g, products[c] = sum of g * ((x - mean) * rstd); the
    // rows in order, as one chain. mean, rstd [columns].
    void (*batch_norm_sums)(const NormBlock& block, const SlopedGradient<T>& gradient, const T* x,
                            const T* mean, const T* rstd, T* sums, T* products);
    // dx = scale * (g - offset - (x - mean) * factor), all four [columns]; scale * g where offset
    // is null. Everything contiguous.
    void (*batch_norm_grad)(const SlopedGradient<T>& gradient, const T* x, const T* mean,
                            const T* scale, const T* offset, const T* factor, T* dx,
                            std::ptrdiff_t rows, std::ptrdiff_t columns);

    // For each row of x [rows, columns]: mean[r], rstd[r] = 1 / sqrt(var + eps), var from the
    // squared distances to the mean, and y = (x - mean) * rstd * gamma + beta; gamma, beta
    // [columns] or null.
    void (*layer_norm)(const T* x, const T* gamma, const T* beta, double eps, T* y, T* mean,
                       T* rstd, std::ptrdiff_t rows, std::ptrdiff_t columns);
    // dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) for each row, with g = dy * gamma and
    // xhat = (x - mean) * rstd.
    void (*layer_norm_grad)(const T* dy, const T* x, const T* mean, const T* rstd, const T* gamma,
                            T* dx, std::ptrdiff_t rows, std::ptrdiff_t columns);
    // sums[c] = sum over r of dy, products[c] = sum of dy * xhat; mean, rstd [rows].
    void (*layer_norm_sums)(const NormBlock& block, const T* dy, const T* x, const T* mean,
                            const T* rstd, T* sums, T* products);
};

}  // namespace pybp
