// Products with few rows (a batch of one): bound by reading B once, and by the latency of the
// chains. Several chunks of k are independent chains by definition, so they run side by side.
#pragma once

#include "../kernel_table.h"
#include "few_rows_transposed.h"

namespace pybp {
namespace {

// kChunks chunks of k, each args.k long and kChunk apart, for kRows rows and kVectors vectors.
template <class T, int kRows, int kVectors, int kChunks>
[[gnu::noinline]] void few_rows_tile(const GemmBlock<T>& block, Head<T> last) {
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

// Wide rows: B is streamed along its rows, kDepth of them at a time, and the sums of one chunk wait
// in a buffer on the stack, which stays in the first-level cache.
constexpr std::ptrdiff_t kBufferBytes = 8192;

template <class T, int kRows, int kDepth>
[[gnu::noinline]] void stream_rows(const GemmBlock<T>& block, std::ptrdiff_t k, bool first, T* sums,
                                   std::ptrdiff_t columns) {
    T scalars[kDepth][kRows];
#pragma GCC unroll 8
    for (int d = 0; d < kDepth; ++d) {
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i) scalars[d][i] = block.a[i * block.a_row + k + d];
    }
    const T* b = block.b + k * block.b_row;
    const std::ptrdiff_t b_row = block.b_row;
    for_each_vector<T>(columns, [&](std::ptrdiff_t j, auto head) {
        V<T> sum[kRows];
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i)
            sum[i] = first ? V<T>{} : load(sums + i * columns + j, head);
#pragma GCC unroll 8
        for (int d = 0; d < kDepth; ++d) {
            const V<T> vector = load(b + d * b_row + j, head);
#pragma GCC unroll 4
            for (int i = 0; i < kRows; ++i) sum[i] = scalars[d][i] * vector + sum[i];
        }
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i) store(sums + i * columns + j, sum[i], head);
    });
}

template <class T, int kRows>
void few_wide_rows(const GemmBlock<T>& whole) {
    constexpr std::ptrdiff_t kColumns =
        kBufferBytes / static_cast<std::ptrdiff_t>(sizeof(T)) / kRows;
    // As many broadcasts as fit the registers beside the sums.
    constexpr int kDepth = kRows == 1 ? 8 : kRows == 2 || kVectorBytes == 64 ? 4 : 2;
    alignas(64) T sums[kRows * kColumns];
    for (std::ptrdiff_t column = 0; column < whole.n; column += kColumns) {
        GemmBlock<T> block = whole;
        block.b += column;
        block.c += column;
        const std::ptrdiff_t left = whole.n - column;
        const std::ptrdiff_t columns = left < kColumns ? left : kColumns;
        for (std::ptrdiff_t begin = 0; begin < block.k; begin += kChunk) {
            const std::ptrdiff_t end = block.k - begin < kChunk ? block.k : begin + kChunk;
            std::ptrdiff_t k = begin;
            for (; k + kDepth <= end; k += kDepth) {
                stream_rows<T, kRows, kDepth>(block, k, k == begin, sums, columns);
            }
            for (; k < end; ++k) stream_rows<T, kRows, 1>(block, k, k == begin, sums, columns);
            const bool add = block.accumulate || begin > 0;
            for (int i = 0; i < kRows; ++i) {
                T* c = block.c + i * block.c_row;
                for_each_vector<T>(columns, [&](std::ptrdiff_t j, auto head) {
                    const V<T> sum = load(sums + i * columns + j, head);
                    store(c + j, add ? load(c + j, head) + sum : sum, head);
                });
            }
        }
    }
}

// The most vectors of columns whose sums, for so many rows, stay in registers.
template <int kRows>
inline constexpr int kMostVectors = kRows == 1   ? 6
                                    : kRows == 2 ? 5
                                                 : 3;

template <class T, int kRows, int kVectors = kMostVectors<kRows>>
void few_narrow_rows(const GemmBlock<T>& block, std::ptrdiff_t vectors) {
    if constexpr (kVectors > 1) {
        if (vectors < kVectors) return few_narrow_rows<T, kRows, kVectors - 1>(block, vectors);
    }
    few_rows_columns<T, kRows, kVectors>(block, Head<T>(block.n - (kVectors - 1) * kLanes<T>));
}

template <class T, int kRows>
void few_rows_of(const GemmBlock<T>& block, bool transposed) {
    if (transposed) return few_rows_transposed<T, kRows>(block);
    const std::ptrdiff_t vectors = (block.n + kLanes<T> - 1) / kLanes<T>;
    if (vectors <= kMostVectors<kRows>) return few_narrow_rows<T, kRows>(block, vectors);
    few_wide_rows<T, kRows>(block);
}

}  // namespace
}  // namespace pybp
