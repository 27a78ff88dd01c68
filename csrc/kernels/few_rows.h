// Products with few rows (a batch of one): bound by reading B once, and by the latency of the
// chains. Several chunks of k are independent chains by definition, so they run side by side.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace pybp {
namespace {

// kChunks chunks of k, each args.k long and kChunk apart, for kRows rows and kVectors vectors.
template <class T, int kRows, int kVectors, int kChunks>
void few_rows_tile(const GemmBlock<T>& block, Head<T> last) {
    V<T> sums[kChunks][kRows][kVectors] = {};
    const T* a[kRows];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) a[i] = block.a + i * block.a_row;
    const T* b[kChunks];
#pragma GCC unroll 4
    for (int chunk = 0; chunk < kChunks; ++chunk) b[chunk] = block.b + chunk * kChunk * block.b_row;
    const std::ptrdiff_t b_row = block.b_row;
    for (std::ptrdiff_t k = 0; k < block.k; ++k) {
#pragma GCC unroll 4
        for (int chunk = 0; chunk < kChunks; ++chunk) {
            V<T> vectors[kVectors];
#pragma GCC unroll 8
            for (int j = 0; j < kVectors - 1; ++j) vectors[j] = load(b[chunk] + j * kLanes<T>);
            vectors[kVectors - 1] = load(b[chunk] + (kVectors - 1) * kLanes<T>, last);
            b[chunk] += b_row;
#pragma GCC unroll 4
            for (int i = 0; i < kRows; ++i) {
                const T scalar = a[i][k + chunk * kChunk];
#pragma GCC unroll 8
                for (int j = 0; j < kVectors; ++j) {
                    sums[chunk][i][j] = scalar * vectors[j] + sums[chunk][i][j];
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) {
            T* c = block.c + i * block.c_row + j * kLanes<T>;
            V<T> total = sums[0][i][j];
            if (block.accumulate) {
                total = (j < kVectors - 1 ? load(c) : load(c, last)) + total;
            }
#pragma GCC unroll 4
            for (int chunk = 1; chunk < kChunks; ++chunk) total = total + sums[chunk][i][j];
            if (j < kVectors - 1) {
                store(c, total);
            } else {
                store(c, total, last);
            }
        }
    }
}

// All of k for up to kVectors vectors of columns.
template <class T, int kRows, int kVectors>
void few_rows_columns(GemmBlock<T> block, Head<T> last) {
    // Enough chains to hide the latency of the multiply-add, few enough for the registers.
    constexpr int kSums = kRows * kVectors;
    constexpr int kChunks = kSums <= 3 ? 4 : kSums <= 6 ? 2 : 1;
    const std::ptrdiff_t k = block.k;
    for (std::ptrdiff_t done = 0; done < k;) {
        const std::ptrdiff_t left = k - done;
        std::ptrdiff_t taken;
        if (kChunks > 1 && left >= kChunks * kChunk) {
            block.k = kChunk;
            few_rows_tile<T, kRows, kVectors, kChunks>(block, last);
            taken = kChunks * kChunk;
        } else if (kChunks > 2 && left >= 3 * kChunk) {
            block.k = kChunk;
            few_rows_tile<T, kRows, kVectors, (kChunks > 2 ? 3 : 1)>(block, last);
            taken = 3 * kChunk;
        } else {
            block.k = left < kChunk ? left : kChunk;
            few_rows_tile<T, kRows, kVectors, 1>(block, last);
            taken = block.k;
        }
        done += taken;
        block.a += taken;
        block.b += taken * block.b_row;
        block.accumulate = true;
    }
}

template <class T, int kRows>
void few_rows_of(const GemmBlock<T>& whole) {
    constexpr int kWide = kRows <= 2 && kVectorBytes == 64 ? 8 : kRows <= 3 ? 4 : 3;
    std::ptrdiff_t column = 0;
    while (column < whole.n) {
        GemmBlock<T> block = whole;
        block.b += column;
        block.c += column;
        const std::ptrdiff_t left = whole.n - column;
        const Head<T> full(kLanes<T>);
        const std::ptrdiff_t vectors = (left + kLanes<T> - 1) / kLanes<T>;
        const Head<T> last(left - (vectors - 1) * kLanes<T> > kLanes<T>
                               ? kLanes<T>
                               : left - (vectors - 1) * kLanes<T>);
        if (kWide > 4 && vectors > kWide) {
            few_rows_columns<T, kRows, kWide>(block, full);
            column += kWide * kLanes<T>;
        } else if (vectors == 1) {
            few_rows_columns<T, kRows, 1>(block, last);
            column = whole.n;
        } else if (vectors == 2) {
            few_rows_columns<T, kRows, 2>(block, last);
            column = whole.n;
        } else {
            few_rows_columns<T, kRows, 3>(block, vectors == 3 ? last : full);
            column += 3 * kLanes<T>;
        }
    }
}

}  // namespace
}  // namespace pybp
