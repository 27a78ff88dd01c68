// Columns of a row-major matrix as vectors, a few at a time.
//
// The rows are read in pieces of 16 bytes, so that every piece already lies in the right part of a
// vector, and the rest of the work are shuffles within 16 bytes: on wide vectors those are the
// cheap ones.
#pragma once

#include "simd.h"

namespace pybp {
namespace {

template <class T>
constexpr int kPiece = 16 / static_cast<int>(sizeof(T));  // numbers in 16 bytes

// For each 16 bytes: the numbers of x and y in turn, from the lower and from the upper half.
template <class T>
PYBP_INLINE void interleave(V<T> x, V<T> y, V<T>& lower, V<T>& upper) {
    if constexpr (kLanes<T> == 16) {
        lower =
            __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        upper = __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30,
                                        15, 31);
    } else if constexpr (kLanes<T> == 8 && kPiece<T> == 4) {
        lower = __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13);
        upper = __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15);
    } else if constexpr (kLanes<T> == 8) {
        lower = __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14);
        upper = __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
    } else if constexpr (kLanes<T> == 4 && kPiece<T> == 4) {
        lower = __builtin_shufflevector(x, y, 0, 4, 1, 5);
        upper = __builtin_shufflevector(x, y, 2, 6, 3, 7);
    } else if constexpr (kLanes<T> == 4) {
        lower = __builtin_shufflevector(x, y, 0, 4, 2, 6);
        upper = __builtin_shufflevector(x, y, 1, 5, 3, 7);
    } else {
        lower = __builtin_shufflevector(x, y, 0, 2);
        upper = __builtin_shufflevector(x, y, 1, 3);
    }
}

// The rows of a vector's worth: pointers to every kPiece-th one. The compiler reaches the rows
// between by index registers; a pointer for each would not fit the registers.
template <class T>
constexpr int kParts = kVectorBytes / 16;

template <class T>
struct RowPointers {
    const T* part[kParts<T>];

    PYBP_INLINE RowPointers(const T* x, std::ptrdiff_t stride) {
#pragma GCC unroll 4
        for (int i = 0; i < kParts<T>; ++i) part[i] = x + i * kPiece<T> * stride;
    }
    PYBP_INLINE void advance(std::ptrdiff_t columns) {
#pragma GCC unroll 4
        for (int i = 0; i < kParts<T>; ++i) part[i] += columns;
    }
};

// 16 bytes from each of the rows, `offset` numbers further on, in the parts of one vector.
template <class T>
PYBP_INLINE V<T> gather_pieces(const RowPointers<T>& rows, std::ptrdiff_t offset) {
#if defined(__AVX512F__)
    // Masked broadcasts are loads and blends; inserts would be shuffles.
    const auto piece = [&](int i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.part[i] + offset));
    };
    __m512i all = _mm512_castsi128_si512(piece(0));
    all = _mm512_mask_broadcast_i32x4(all, 0x00f0, piece(1));
    all = _mm512_mask_broadcast_i32x4(all, 0x0f00, piece(2));
    all = _mm512_mask_broadcast_i32x4(all, 0xf000, piece(3));
    return (V<T>)all;
#elif defined(__AVX2__)
    return (V<T>)_mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(rows.part[1] + offset),
                                     reinterpret_cast<const __m128i*>(rows.part[0] + offset));
#else
    return load(rows.part[0] + offset);
#endif
}

// columns[c][r] = element `first` + c of row r, for as many rows as a vector has lanes.
template <class T>
PYBP_INLINE void load_columns(const RowPointers<T>& rows, std::ptrdiff_t stride,
                              std::ptrdiff_t first, V<T> (&columns)[kPiece<T>]) {
    constexpr int kHalf = kPiece<T> / 2;
#pragma GCC unroll 4
    for (int i = 0; i < kPiece<T>; ++i) columns[i] = gather_pieces(rows, i * stride + first);
    // Each pass rotates the bits of the index (row, place in the piece) by one.
#pragma GCC unroll 2
    for (int pass = 1; pass < kPiece<T>; pass *= 2) {
        V<T> mixed[kPiece<T>];
#pragma GCC unroll 2
        for (int i = 0; i < kHalf; ++i) {
            interleave<T>(columns[i], columns[i + kHalf], mixed[2 * i], mixed[2 * i + 1]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < kPiece<T>; ++i) columns[i] = mixed[i];
    }
}

// The same from x itself, which may have fewer rows or columns; what it lacks is 0.
template <class T>
PYBP_INLINE void load_edge_columns(const T* x, std::ptrdiff_t stride, std::ptrdiff_t rows,
                                   std::ptrdiff_t width, V<T> (&columns)[kPiece<T>]) {
    T copy[kLanes<T> * kPiece<T>] = {};
    for (std::ptrdiff_t i = 0; i < rows && i < kLanes<T>; ++i) {
        if (width >= kPiece<T>) {
            __builtin_memcpy(copy + i * kPiece<T>, x + i * stride, 16);
            continue;
        }
        for (std::ptrdiff_t c = 0; c < width; ++c) copy[i * kPiece<T> + c] = x[i * stride + c];
    }
    load_columns(RowPointers<T>(copy, kPiece<T>), kPiece<T>, 0, columns);
}

}  // namespace
}  // namespace pybp
