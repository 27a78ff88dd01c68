// The contract of the depthwise kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

// One row of outputs of a depthwise convolution, channel by channel:
//   y[q, c] = sum over u in [0, rows), v in [0, kernel) of x[u, q * stride - before + v * dilation,
//   c]
//             * w[u, v, c]
// where cells outside of [0, size) count as 0. x, y and w lie with channels side by side; `u` steps
// over x and w by row_step and w_row, `v` over w by w_tap, `q` over y by y_pixel. The steps over w
// may be negative: taps in the opposite order.
struct DepthwiseRow {
    std::ptrdiff_t channels;
    std::ptrdiff_t rows;
    std::ptrdiff_t row_step;
    std::ptrdiff_t w_row;
    std::ptrdiff_t w_tap;
    std::ptrdiff_t y_pixel;
    std::ptrdiff_t out;
    std::ptrdiff_t kernel;
    std::ptrdiff_t stride;
    std::ptrdiff_t before;
    std::ptrdiff_t dilation;
    std::ptrdiff_t size;
};

template <class T>
struct DepthwiseKernels {
    // The taps of an output are one chain in rising order of (u, v).
    void (*row)(const DepthwiseRow& row, const T* x, const T* w, T* y);
    // w[u, v, c] += sum over q of x[u, ..., c] * y[q, c], one chain for each; y is read only.
    void (*weight_row)(const DepthwiseRow& row, const T* x, const T* y, T* w);
};

}  // namespace pybp
