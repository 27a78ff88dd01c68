// The one tile of the dense core: a few rows of A against a few vectors of B, all sums in
// registers.
#pragma once

#include "simd.h"

namespace pybp {
namespace {

// How A lies in memory. Along k: a row of A is contiguous. Along rows: a column is, as in a packed
// block or in a transposed matrix.
enum class AOrder { along_k, along_rows };

template <class T>
struct TileArgs {
    const T* a;
    std::ptrdiff_t a_stride;  // of the direction that is not contiguous
    const T* b;
    std::ptrdiff_t b_row;
    T* c;
    std::ptrdiff_t c_row;
    std::ptrdiff_t k;  // the length of one chain
    bool accumulate;
    std::ptrdiff_t first_run;  // A's runs, as in GemmBlock
    std::ptrdiff_t run;
    const std::ptrdiff_t* skips;
};

// Adds the sums of one chain to C, or writes them.
template <class T, int kRows, int kVectors>
PYBP_INLINE void store_tile(const V<T> (&sums)[kRows][kVectors], T* c, std::ptrdiff_t c_row,
                            bool accumulate, Head<T> last) {
    if (accumulate) {
#pragma GCC unroll 32
        for (int i = 0; i < kRows; ++i) {
            T* row = c + i * c_row;
#pragma GCC unroll 32
            for (int j = 0; j < kVectors - 1; ++j) {
                store(row + j * kLanes<T>, load(row + j * kLanes<T>) + sums[i][j]);
            }
            T* edge = row + (kVectors - 1) * kLanes<T>;
            store(edge, load(edge, last) + sums[i][kVectors - 1], last);
        }
    } else {
#pragma GCC unroll 32
        for (int i = 0; i < kRows; ++i) {
            T* row = c + i * c_row;
#pragma GCC unroll 32
            for (int j = 0; j < kVectors - 1; ++j) store(row + j * kLanes<T>, sums[i][j]);
            store(row + (kVectors - 1) * kLanes<T>, sums[i][kVectors - 1], last);
        }
    }
}

// C (+)= A B for kRows rows, kVectors vectors of columns (the last one partial) and one chain.
// Not inlined: registers are dealt out for this loop alone. `Edge` says how the last vector of B is
// read: whole or under a mask, which is slow in this loop on some processors.
template <class T, int kRows, int kVectors, AOrder kOrder, class Edge>
[[gnu::noinline]] void tile(const TileArgs<T>& args, Edge edge, Head<T> last) {
    V<T> sums[kRows][kVectors] = {};
    // Rows of a large C come from the last cache: they are asked for a chain ahead.
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) __builtin_prefetch(args.c + i * args.c_row, 1);
    // One pointer for three rows: more would not fit the integer registers, and the compiler would
    // spill addresses into the loop.
    constexpr int kGroups = (kRows + 2) / 3;
    const T* a[kGroups];
#pragma GCC unroll 32
    for (int g = 0; g < kGroups; ++g) {
        a[g] = args.a + 3 * g * (kOrder == AOrder::along_k ? args.a_stride : 1);
    }
    const std::ptrdiff_t a_stride = args.a_stride;
    const T* b = args.b;
    const std::ptrdiff_t b_row = args.b_row;
    const std::ptrdiff_t* skips = args.skips;
    std::ptrdiff_t length = args.first_run;
    for (std::ptrdiff_t left = args.k;;) {
        if (length > left) length = left;
        left -= length;
        for (std::ptrdiff_t k = length; k > 0; --k) {
            V<T> vectors[kVectors];
#pragma GCC unroll 32
            for (int j = 0; j < kVectors - 1; ++j) vectors[j] = load(b + j * kLanes<T>);
            vectors[kVectors - 1] = load(b + (kVectors - 1) * kLanes<T>, edge);
#pragma GCC unroll 32
            for (int i = 0; i < kRows; ++i) {
                const T scalar = kOrder == AOrder::along_k ? a[i / 3][(i % 3) * a_stride] : a[0][i];
#pragma GCC unroll 32
                for (int j = 0; j < kVectors; ++j) sums[i][j] = scalar * vectors[j] + sums[i][j];
            }
            b += b_row;
            if constexpr (kOrder == AOrder::along_k) {
#pragma GCC unroll 32
                for (int g = 0; g < kGroups; ++g) a[g] += 1;
            } else {
                a[0] += a_stride;
            }
        }
        if (left == 0) break;
        const std::ptrdiff_t skip = *skips++;
#pragma GCC unroll 32
        for (int g = 0; g < kGroups; ++g) a[g] += skip;
        length = args.run;
    }
    store_tile<T, kRows, kVectors>(sums, args.c, args.c_row, args.accumulate, last);
}

}  // namespace
}  // namespace pybp
