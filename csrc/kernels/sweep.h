// Online training: the update of a weight by one row, and the product of the next row with it, in
// one pass, so that a step reads and writes the weight once.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace pybp {
namespace {

// The gradient with its decay; all plain SGD steps share it, so that they have the same bits.
template <class T, class Scalars>
PYBP_INLINE V<T> decayed(V<T> g, V<T> weight, const Scalars& s) {
    return g * s.sign + weight * s.weight_decay;
}

// A weight after one step of plain SGD. Without decay it takes no part in its gradient.
template <class T, bool kDecays>
PYBP_INLINE V<T> stepped(V<T> g, V<T> weight, const SGDStep<T>& s) {
    if constexpr (kDecays) return weight - decayed<T>(g, weight, s) * s.lr;
    return weight - g * s.sign * s.lr;
}

template <class T>
bool all_finite(const T* x, std::ptrdiff_t count) {
    T zero = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) zero += x[i] * T{0};
    return zero == T{0};
}

// Sums in registers beside the slopes of as many columns.
template <bool kDecays>
inline constexpr int kSweepVectors = kVectorBytes == 64 ? 8
                                     : kDecays          ? 4
                                                        : 5;

// One chunk of rows and some vectors of columns.
template <class T>
struct SweepChunk {
    SGDStep<T> step;
    bool skip_zeros;
    T* w;  // [rows, columns], rows `stride` apart
    std::ptrdiff_t stride;
    const T* x;     // [rows]
    const T* next;  // [rows]
    const T* dy;    // [columns]
    T* y;           // [columns]
    std::ptrdiff_t rows;
    bool accumulate;
};

// y (+)= next @ w after the update. Last: Whole or Head, the extent of the last vector.
template <class T, int kVectors, bool kDecays, class Last>
[[gnu::noinline]] void sweep_chunk(const SweepChunk<T>& given, Last last) {
    constexpr int kEnd = kVectors - 1;
    const SweepChunk<T> chunk = given;
    const SGDStep<T> s = chunk.step;
    const bool skip_zeros = chunk.skip_zeros;
    V<T> slopes[kVectors];
    V<T> sums[kVectors] = {};
    // Without decay the sign, 1 or -1, is taken out of the loop, which changes no bit.
    const T sign = kDecays ? T{1} : s.sign;
#pragma GCC unroll 8
    for (int j = 0; j < kEnd; ++j) slopes[j] = sign * load(chunk.dy + j * kLanes<T>);
    slopes[kEnd] = sign * load(chunk.dy + kEnd * kLanes<T>, last);
    T* w = chunk.w;
    for (std::ptrdiff_t i = 0; i < chunk.rows; ++i, w += chunk.stride) {
        const T input = chunk.x[i];
        const T factor = chunk.next[i];
        if (input == T{0} && skip_zeros) {
            // Keeps the loads of the two branches apart: together, they would push slopes out of
            // the registers.
            __asm__ volatile("" ::: "memory");
#pragma GCC unroll 8
            for (int j = 0; j < kEnd; ++j) sums[j] = factor * load(w + j * kLanes<T>) + sums[j];
            sums[kEnd] = factor * load(w + kEnd * kLanes<T>, last) + sums[kEnd];
            continue;
        }
        const auto step = [&](V<T> weight, int j) {
            const V<T> g = slopes[j] * input;
            if constexpr (kDecays) return stepped<T, true>(g, weight, s);
            return weight - g * s.lr;
        };
#pragma GCC unroll 8
        for (int j = 0; j < kEnd; ++j) {
            const V<T> weight = step(load(w + j * kLanes<T>), j);
            store(w + j * kLanes<T>, weight);
            sums[j] = factor * weight + sums[j];
        }
        const V<T> weight = step(load(w + kEnd * kLanes<T>, last), kEnd);
        store(w + kEnd * kLanes<T>, weight, last);
        sums[kEnd] = factor * weight + sums[kEnd];
    }
#pragma GCC unroll 8
    for (int j = 0; j < kEnd; ++j) {
        T* y = chunk.y + j * kLanes<T>;
        store(y, chunk.accumulate ? load(y) + sums[j] : sums[j]);
    }
    T* y = chunk.y + kEnd * kLanes<T>;
    store(y, chunk.accumulate ? load(y, last) + sums[kEnd] : sums[kEnd], last);
}

template <class T, int kVectors, bool kDecays, class Last>
void sweep_rows(SweepChunk<T> chunk, std::ptrdiff_t in, Last last) {
    for (std::ptrdiff_t i = 0; i < in; i += kChunk) {
        chunk.rows = in - i < kChunk ? in - i : kChunk;
        chunk.accumulate = i > 0;
        sweep_chunk<T, kVectors, kDecays>(chunk, last);
        chunk.w += chunk.rows * chunk.stride;
        chunk.x += chunk.rows;
        chunk.next += chunk.rows;
    }
}

template <class T, bool kDecays, int kVectors = kSweepVectors<kDecays>>
void sweep_columns(const SweepChunk<T>& chunk, std::ptrdiff_t in, std::ptrdiff_t columns) {
    if constexpr (kVectors > 1) {
        if (columns <= (kVectors - 1) * kLanes<T>) {
            return sweep_columns<T, kDecays, kVectors - 1>(chunk, in, columns);
        }
    }
    if (columns == kVectors * kLanes<T>) {
        sweep_rows<T, kVectors, kDecays>(chunk, in, Whole<T>{});
    } else {
        const Head<T> last(columns - (kVectors - 1) * kLanes<T>);
        sweep_rows<T, kVectors, kDecays>(chunk, in, last);
    }
}

template <class T, bool kDecays>
void sweep_matrix(SweepChunk<T> chunk, std::ptrdiff_t in, std::ptrdiff_t out) {
    constexpr std::ptrdiff_t kWidth = kSweepVectors<kDecays> * kLanes<T>;
    for (std::ptrdiff_t j = 0; j < out; j += kWidth) {
        sweep_columns<T, kDecays>(chunk, in, out - j < kWidth ? out - j : kWidth);
        chunk.w += kWidth;
        chunk.dy += kWidth;
        chunk.y += kWidth;
    }
}

template <class T>
void sgd_sweep(const SGDStep<T>& step, T* w, std::ptrdiff_t stride, const T* x, const T* dy,
               const T* next, T* y, std::ptrdiff_t in, std::ptrdiff_t out) {
    const bool decays = step.weight_decay != T{0};
    // 0 * dy is 0 for finite dy, and a step of 0 leaves a weight as it is.
    const bool skip_zeros = !decays && all_finite(dy, out);
    const SweepChunk<T> whole{step, skip_zeros, w, stride, x, next, dy, y, 0, false};
    return decays ? sweep_matrix<T, true>(whole, in, out) : sweep_matrix<T, false>(whole, in, out);
}

}  // namespace
}  // namespace pybp
