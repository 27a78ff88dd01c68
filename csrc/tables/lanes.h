// The contract of convolutions with an image in each lane; csrc/kernel_table.h has the rules for
// all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

// "In lanes": a number of each of `lanes` images side by side, so [..., channels] of an image is
// [..., channels, lanes]. No lane is left empty, however few the channels are.

// A row of outputs over one part of the sum, of at most kChunk entries:
//   y[q, i, :] (+)= sum over e in [begin, end) of x[e / run * x_run + q * x_pixel + e % run, :]
//                                                 * w[e, i]
// A run is a row of taps with their channels. Tap v of output q is column q * stride - before + v
// of the image; where it lies outside of [0, size), x is 0 there, and the tap may be left out.
template <class T>
struct LanesRow {
    const T* x;  // a step of 1 is `lanes` numbers, x_run and x_pixel are numbers
    std::ptrdiff_t x_run;
    std::ptrdiff_t x_pixel;
    const T* w;  // [end, n], rows w_row apart
    std::ptrdiff_t w_row;
    T* y;  // [pixels, n, lanes], pixels y_pixel apart
    std::ptrdiff_t y_pixel;
    std::ptrdiff_t pixels;
    std::ptrdiff_t n;
    std::ptrdiff_t begin;  // in the first run
    std::ptrdiff_t end;
    std::ptrdiff_t run;
    std::ptrdiff_t channels;  // of x: run = taps * channels
    std::ptrdiff_t stride;
    std::ptrdiff_t before;
    std::ptrdiff_t size;
    bool accumulate;
};

// The share of some rows of pixels in the gradient by the weights, for taps that lie side by side:
//   sums[j, i, :] += sum over rows p, pixels q of x[p * x_row + q * x_pixel + j * lanes, :]
//                                              * dy[p, q, i, :]
// one chain in rising order of (p, q) that starts at 0.
template <class T>
struct LanesWeight {
    const T* x;
    std::ptrdiff_t x_row;
    std::ptrdiff_t x_pixel;
    const T* dy;  // [rows, pixels, n, lanes]
    std::ptrdiff_t rows;
    std::ptrdiff_t pixels;
    std::ptrdiff_t taps;
    std::ptrdiff_t n;
    T* sums;  // [taps, n, lanes]
};

template <class T>
struct LanesKernels {
    std::ptrdiff_t lanes;
    void (*row)(const LanesRow<T>& row);
    void (*weight)(const LanesWeight<T>& weight);
    // y[c, l] = x[l * stride + c], c in [0, count), l in [0, lanes).
    void (*from_images)(const T* x, std::ptrdiff_t stride, std::ptrdiff_t count, T* y);
    // y[l * stride + c] = x[c, l].
    void (*to_images)(const T* x, std::ptrdiff_t count, T* y, std::ptrdiff_t stride);
    // sums[i] = the sum of x[i, :], as a tree.
    void (*join)(const T* x, std::ptrdiff_t count, T* sums);
};

inline constexpr std::ptrdiff_t kMostLanes = 16;

}  // namespace pybp
