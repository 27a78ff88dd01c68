// The contract of the pools' kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel_table.h"

namespace pybp {

// One row of windows of one sample. Window q has the taps (th, tw): rows [0, rows) are the tap rows
// that lie in the input, of which the first is tap row `first`; tap column tw is the cell
// q * stride - before + tw * dilation, which counts if it lies in [0, size).
// Every window has a tap in the input.
struct PoolRow {
    std::ptrdiff_t channels;
    std::ptrdiff_t rows;      // tap rows in the input, at least 1
    std::ptrdiff_t row_step;  // elements from one tap row to the next
    std::ptrdiff_t first;     // the first of them among all tap rows
    std::ptrdiff_t out;       // windows
    std::ptrdiff_t kernel;    // tap columns
    std::ptrdiff_t stride;
    std::ptrdiff_t before;
    std::ptrdiff_t dilation;
    std::ptrdiff_t size;  // cells of a row of the input
};

// What the sum of a window is divided by: `fixed`, or, where that is 0, the number of its taps that
// lie in [-before, size + after) of their row, times `rows`.
struct PoolDivisor {
    std::ptrdiff_t fixed;
    std::ptrdiff_t rows;
    std::ptrdiff_t before;
    std::ptrdiff_t after;
};

// The slope of an activation below a pool, from its output y, the maximum.
template <class T>
struct PoolSlope {
    const T* y;  // [out, channels], or null where the activation is the identity
    Activation function;
    T alpha;
};

// Where a maximum was found: tap th * kernel + tw of its window. One of the two, or neither.
struct PoolArgmax {
    std::uint8_t* bytes;  // [out, channels]
    std::int32_t* words;  // [out, channels]
};

template <class T>
struct PoolKernels {
    // y[q, c] = the largest tap; the first of several, the first NaN if there is one. x is the
    // first tap row that lies in the input [size, channels]; y [out, channels].
    void (*max_row)(const PoolRow& row, const T* x, T* y, const PoolArgmax& argmax);
    // dx at the maximum of each window gets dy * slope, its other taps 0. dy [out, channels]; dx is
    // the first tap row that lies in the input. overlap: the windows of the image overlap, and all
    // is added to what is there.
    void (*max_row_grad)(const PoolRow& row, const PoolSlope<T>& slope, const T* dy,
                         const PoolArgmax& argmax, T* dx, bool overlap);
    // y[q, c] = the sum of the taps / divisor, each tap row summed by itself.
    void (*average_row)(const PoolRow& row, const PoolDivisor& divisor, const T* x, T* y);
    // dx at each tap gets dy / divisor; as in max_row_grad.
    void (*average_row_grad)(const PoolRow& row, const PoolDivisor& divisor, const T* dy, T* dx,
                             bool overlap);
};

}  // namespace pybp
