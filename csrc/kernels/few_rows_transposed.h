// Products with few rows and a transposed B, without packing.
#pragma once

#include "../kernel_table.h"
#include "gemm_tile.h"
#include "transpose.h"

namespace pybp {
namespace {

// B transposed, [n, k]: its columns are formed in registers and used at once, so that nothing is
// packed. Adds the products with columns `from` ... of a piece to block j of the sums.
template <class T, int kRows, int kBlocks>
PYBP_INLINE void use_columns(const T* a, std::ptrdiff_t a_row, const V<T> (&columns)[kPiece<T>],
                             std::ptrdiff_t from, int j, V<T> (&sums)[kRows][kBlocks]) {
#pragma GCC unroll 4
    for (int c = 0; c < kPiece<T>; ++c) {
        if (c < from) continue;
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i) sums[i][j] = a[i * a_row + c] * columns[c] + sums[i][j];
    }
}

// One chunk for kBlocks whole vectors of columns, which are as many chains for each row.
template <class T, int kRows, int kBlocks>
[[gnu::noinline]] void transposed_tile(const GemmBlock<T>& block) {
    V<T> sums[kRows][kBlocks] = {};
    const std::ptrdiff_t stride = block.b_row;
    const T* a = block.a;
    RowPointers<T> first(block.b, stride);
    RowPointers<T> second(block.b + (kBlocks - 1) * kLanes<T> * stride, stride);
    const auto use = [&](const RowPointers<T>& rows, int j, std::ptrdiff_t offset,
                         std::ptrdiff_t from) {
        V<T> columns[kPiece<T>];
        load_columns(rows, stride, offset, columns);
        use_columns(a + offset, block.a_row, columns, from, j, sums);
    };
    std::ptrdiff_t left = block.k;
    for (; left >= kLanes<T>; left -= kLanes<T>) {
        // Square by square: rows a power of two apart share few places in the first-level cache.
#pragma GCC unroll 4
        for (int c = 0; c < kLanes<T>; c += kPiece<T>) use(first, 0, c, 0);
        if constexpr (kBlocks == 2) {
#pragma GCC unroll 4
            for (int c = 0; c < kLanes<T>; c += kPiece<T>) use(second, 1, c, 0);
        }
        a += kLanes<T>;
        first.advance(kLanes<T>);
        second.advance(kLanes<T>);
    }
    const auto use_both = [&](std::ptrdiff_t offset, std::ptrdiff_t from) {
        use(first, 0, offset, from);
        if constexpr (kBlocks == 2) use(second, 1, offset, from);
    };
    std::ptrdiff_t done = 0;
    for (; done + kPiece<T> <= left; done += kPiece<T>) use_both(done, 0);
    // The rest of k: a whole piece that ends there, of which the part before is skipped.
    if (done < left) use_both(left - kPiece<T>, kPiece<T> - (left - done));
    store_tile<T, kRows, kBlocks>(sums, block.c, block.c_row, block.accumulate, Head<T>(kLanes<T>));
}

// The same for fewer columns than a vector has, or a k shorter than a piece.
template <class T, int kRows>
[[gnu::noinline]] void transposed_edge(const GemmBlock<T>& block) {
    V<T> sums[kRows][1] = {};
    for (std::ptrdiff_t k = 0; k < block.k; k += kPiece<T>) {
        const std::ptrdiff_t width = block.k - k < kPiece<T> ? block.k - k : kPiece<T>;
        V<T> columns[kPiece<T>];
        load_edge_columns(block.b + k, block.b_row, block.n, width, columns);
#pragma GCC unroll 4
        for (int c = 0; c < kPiece<T>; ++c) {
            if (c >= width) break;
#pragma GCC unroll 4
            for (int i = 0; i < kRows; ++i) {
                sums[i][0] = block.a[i * block.a_row + k + c] * columns[c] + sums[i][0];
            }
        }
    }
    store_tile<T, kRows, 1>(sums, block.c, block.c_row, block.accumulate, Head<T>(block.n));
}

// The last block.n columns of a row of C, fewer than a vector: the whole vector that ends there is
// computed, and its last numbers are taken.
template <class T, int kRows>
void transposed_end(GemmBlock<T> block) {
    const std::ptrdiff_t before = kLanes<T> - block.n;
    T whole[kRows * kLanes<T>];
    GemmBlock<T> shifted = block;
    shifted.b -= before * block.b_row;
    shifted.c = whole;
    shifted.c_row = kLanes<T>;
    shifted.accumulate = false;
    transposed_tile<T, kRows, 1>(shifted);
    for (std::ptrdiff_t i = 0; i < kRows; ++i) {
        T* c = block.c + i * block.c_row;
        const T* sums = whole + i * kLanes<T> + before;
        for (std::ptrdiff_t j = 0; j < block.n; ++j)
            c[j] = block.accumulate ? c[j] + sums[j] : sums[j];
    }
}

template <class T, int kRows>
void few_rows_transposed(const GemmBlock<T>& whole) {
    const std::ptrdiff_t end = whole.k % kChunk;
    const bool short_end = end > 0 && end < kPiece<T>;  // then transposed_edge does the last chunk
    for (std::ptrdiff_t j = 0; j < whole.n;) {
        GemmBlock<T> block = whole;
        block.b += j * whole.b_row;
        block.c += j;
        const std::ptrdiff_t left = whole.n - j;
        block.n = left < kLanes<T>                    ? left
                  : left < 2 * kLanes<T> || short_end ? kLanes<T>
                                                      : 2 * kLanes<T>;
        for (std::ptrdiff_t begin = 0; begin < whole.k; begin += kChunk) {
            block.k = whole.k - begin < kChunk ? whole.k - begin : kChunk;
            if (whole.n < kLanes<T> || block.k < kPiece<T>) {
                transposed_edge<T, kRows>(block);
            } else if (block.n == 2 * kLanes<T>) {
                transposed_tile<T, kRows, 2>(block);
            } else if (block.n == kLanes<T>) {
                transposed_tile<T, kRows, 1>(block);
            } else {
                transposed_end<T, kRows>(block);
            }
            block.a += kChunk;
            block.b += kChunk;
            block.accumulate = true;
        }
        j += block.n;
    }
}

}  // namespace
}  // namespace pybp
