// Matrix products against plain loops with the documented order of sums, bit for bit.
#pragma once

#include <cmath>

#include "record.h"
#include "runtime/gemm.h"

namespace sample {

using namespace pybp;

struct Form {
    bool transpose_a, transpose_b, accumulate;
};

// Element (i, j) of A B: chains of kChunk fused multiply-adds, added to `old` if accumulating.
template <class T>
T plain_product(const std::vector<T>& a, const std::vector<T>& b, std::ptrdiff_t m,
                std::ptrdiff_t n, std::ptrdiff_t k, Form form, T old, std::ptrdiff_t i,
                std::ptrdiff_t j) {
    T total = old;
    for (std::ptrdiff_t begin = 0; begin < k; begin += kChunk) {
        T chain = 0;
        for (std::ptrdiff_t l = begin; l < k && l < begin + kChunk; ++l) {
            const T x = a[static_cast<std::size_t>(form.transpose_a ? l * m + i : i * k + l)];
            const T y = b[static_cast<std::size_t>(form.transpose_b ? j * k + l : l * n + j)];
            chain = std::fma(x, y, chain);
        }
        total = begin == 0 && !form.accumulate ? chain : total + chain;
    }
    return total;
}

template <class T>
void product(Numbers& numbers, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, Form form) {
    const std::vector<T> a = numbers.many<T>(m * k);
    const std::vector<T> b = numbers.many<T>(k * n);
    std::vector<T> c = numbers.many<T>(m * n);
    std::vector<double> expected(c.size());
    for (std::ptrdiff_t i = 0; i < m; ++i) {
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            const auto at = static_cast<std::size_t>(i * n + j);
            expected[at] = plain_product(a, b, m, n, k, form, c[at], i, j);
        }
    }
    GemmArgs<T> args{};
    args.a = a.data();
    args.a_stride = form.transpose_a ? m : k;
    args.transpose_a = form.transpose_a;
    args.b = b.data();
    args.b_stride = form.transpose_b ? k : n;
    args.transpose_b = form.transpose_b;
    args.c = c.data();
    args.c_stride = n;
    args.m = m;
    args.n = n;
    args.k = k;
    args.accumulate = form.accumulate;
    constexpr int kThreads = 2;
    constexpr std::size_t kLine = 64;
    std::vector<char> scratch(gemm_scratch_bytes<T>(m, n, k, kThreads) + kLine);
    char* base = scratch.data();
    base += (kLine - reinterpret_cast<std::uintptr_t>(base) % kLine) % kLine;
    gemm(kernels<T>(), team(), args, kThreads, base);
    const std::string name = "gemm_" + std::to_string(m) + "x" + std::to_string(n) + "x" +
                             std::to_string(k) + (form.transpose_a ? "_ta" : "") +
                             (form.transpose_b ? "_tb" : "") + (form.accumulate ? "_add" : "");
    record(name, c, expected, k, same);
}

// One strip whose A lies in runs, as a convolution reads an image.
template <class T>
void runs(Numbers& numbers) {
    const GemmKernels<T>& table = kernels<T>().gemm;
    const std::ptrdiff_t m = table.rows;
    const std::ptrdiff_t n = table.panel;
    constexpr std::ptrdiff_t kRuns = 3;
    constexpr std::ptrdiff_t kRun = 5;
    constexpr std::ptrdiff_t kSkip = 40;
    const std::vector<T> image = numbers.many<T>(m * 2 + kRuns * (kRun + kSkip));
    const std::vector<T> b = numbers.many<T>(kRuns * kRun * n);
    const std::vector<std::ptrdiff_t> skips(kRuns - 1, kSkip);
    std::vector<T> c(static_cast<std::size_t>(m * n));
    std::vector<double> expected(c.size());
    for (std::ptrdiff_t i = 0; i < m; ++i) {
        for (std::ptrdiff_t j = 0; j < n; ++j) {
            T chain = 0;
            for (std::ptrdiff_t l = 0; l < kRuns * kRun; ++l) {
                const T x = image[static_cast<std::size_t>(i * 2 + l + l / kRun * kSkip)];
                chain = std::fma(x, b[static_cast<std::size_t>(l * n + j)], chain);
            }
            expected[static_cast<std::size_t>(i * n + j)] = chain;
        }
    }
    table.strip({image.data(), 2, 1, b.data(), n, n, true, c.data(), n, m, n, kRuns * kRun, false,
                 kRun, kRun, skips.data()});
    record("strip_of_runs", c, expected, kRuns * kRun, same);
}

template <class T>
void products(Numbers& numbers) {
    constexpr std::ptrdiff_t kShapes[][3] = {
        {1, 1, 1},     {1, 10, 784}, {1, 40, 1030}, {2, 3, 5},     {3, 65, 300}, {4, 7, 2},
        {5, 16, 257},  {7, 33, 64},  {8, 2, 17},    {9, 8, 300},   {17, 50, 33}, {64, 64, 64},
        {70, 130, 20}, {600, 9, 12}, {96, 512, 40}, {64, 256, 130}};
    for (const auto& shape : kShapes) {
        for (int form = 0; form < 8; ++form) {
            product<T>(numbers, shape[0], shape[1], shape[2],
                       {(form & 1) != 0, (form & 2) != 0, (form & 4) != 0});
        }
    }
    // Rows far apart, where both operands are packed.
    product<T>(numbers, 130, 512, 200, {false, false, false});
    product<T>(numbers, 70, 256, 1024, {false, false, true});
    product<T>(numbers, 128, 256, 150, {true, false, false});
    runs<T>(numbers);
}

}  // namespace sample
