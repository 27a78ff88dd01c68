// A square of lanes x lanes numbers, transposed in registers.
#pragma once

#include "simd.h"

namespace pybp {
namespace {

// Lanes of x and y in turn: the lower halves, then the upper halves.
template <class T>
PYBP_INLINE void interleave(V<T> x, V<T> y, V<T>& lower, V<T>& upper) {
    if constexpr (kLanes<T> == 16) {
        lower = __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        upper = __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                        15, 31);
    } else if constexpr (kLanes<T> == 8) {
        lower = __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
        upper = __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
    } else if constexpr (kLanes<T> == 4) {
        lower = __builtin_shufflevector(x, y, 0, 4, 1, 5);
        upper = __builtin_shufflevector(x, y, 2, 6, 3, 7);
    } else {
        lower = __builtin_shufflevector(x, y, 0, 2);
        upper = __builtin_shufflevector(x, y, 1, 3);
    }
}

// rows[i][j] becomes rows[j][i]. Each pass interleaves row i with row i + half, which rotates the
// bits of the index (row, lane) by one; log2(lanes) passes exchange row and lane.
template <class T>
PYBP_INLINE void transpose(V<T> (&rows)[kLanes<T>]) {
    constexpr int kHalf = kLanes<T> / 2;
#pragma GCC unroll 4
    for (int pass = 1; pass < kLanes<T>; pass *= 2) {
        V<T> mixed[kLanes<T>];
#pragma GCC unroll 16
        for (int i = 0; i < kHalf; ++i) {
            interleave<T>(rows[i], rows[i + kHalf], mixed[2 * i], mixed[2 * i + 1]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; ++i) rows[i] = mixed[i];
    }
}

// out[c * out_stride + r] = x[r * stride + c] for r in [0, rows) and c in [0, columns), with
// rows, columns <= lanes. Where rows < lanes and `pad`, the rest of each out row becomes 0.
template <class T>
PYBP_INLINE void transpose_square(const T* x, std::ptrdiff_t stride, std::ptrdiff_t rows,
                                  std::ptrdiff_t columns, T* out, std::ptrdiff_t out_stride,
                                  bool pad) {
    V<T> square[kLanes<T>];
    if (rows == kLanes<T> && columns == kLanes<T>) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; ++i) square[i] = load(x + i * stride);
        transpose<T>(square);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; ++i) store(out + i * out_stride, square[i]);
        return;
    }
    const Head<T> width(columns);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<T>; ++i) square[i] = i < rows ? load(x + i * stride, width) : V<T>{};
    transpose<T>(square);
    const Head<T> height(pad ? kLanes<T> : rows);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<T>; ++i) {
        if (i < columns) store(out + i * out_stride, square[i], height);
    }
}

}  // namespace
}  // namespace pybp
