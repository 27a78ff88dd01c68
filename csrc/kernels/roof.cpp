// What the machine can do at best, of one ISA level: multiply-adds in registers, reading, copying.
// The results are handed back, so the compiler can't leave the work out.
#include "simd.h"
#include "table.h"

namespace pybp {
namespace {

// A multiply-add takes 4 cycles, and two begin in each: 8 chains are the least. All must fit into
// the registers: 32 with AVX-512 and on ARM, else 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kChains = 24;
#else
constexpr int kChains = 12;
#endif

template <class T>
void multiply_add(T factor, T addend, T* x, std::ptrdiff_t rounds) {
    const V<T> by = broadcast(factor);
    const V<T> plus = broadcast(addend);
    V<T> chain[kChains];
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) chain[i] = load(x + i * kLanes<T>);
    for (std::ptrdiff_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
        for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * by + plus;
    }
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) store(x + i * kLanes<T>, chain[i]);
}

template <class T>
T sum(const T* x, std::ptrdiff_t count) {
    constexpr int kSums = 8;
    constexpr std::ptrdiff_t kStep = kSums * kLanes<T>;
    V<T> sums[kSums];
#pragma GCC unroll 8
    for (int j = 0; j < kSums; ++j) sums[j] = V<T>{};
    const std::ptrdiff_t whole = count - count % kStep;
    for (std::ptrdiff_t i = 0; i < whole; i += kStep) {
#pragma GCC unroll 8
        for (int j = 0; j < kSums; ++j) sums[j] += load(x + i + j * kLanes<T>);
    }
    V<T> total = {};
#pragma GCC unroll 8
    for (int j = 0; j < kSums; ++j) total += sums[j];
    for_each_vector<T>(count - whole,
                       [&](std::ptrdiff_t i, auto head) { total += load(x + whole + i, head); });
    return sum_lanes<T>(total);
}

template <class T>
void copy(const T* x, T* y, std::ptrdiff_t count) {
    for_each_vector<T>(count,
                       [&](std::ptrdiff_t i, auto head) { store(y + i, load(x + i, head), head); });
}

template <class T>
void fill(RoofKernels<T>& table) {
    table.width = kChains * kLanes<T>;
    table.multiply_add = multiply_add<T>;
    table.sum = sum<T>;
    table.copy = copy<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(roof, RoofKernels)

}  // namespace pybp
