// A case or two of every other family of kernels, against plain loops in double.
#pragma once

#include <algorithm>
#include <cmath>

#include "record.h"
#include "runtime/kernels.h"

namespace sample {

using namespace pybp;

inline std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }
inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double squared(double x) { return x * x; }

// y[i] = f(x[i], other[i]) for results of a kernel.
template <class T, class F>
void record_each(const char* name, const std::vector<T>& got, const std::vector<T>& x, F f,
                 Kind kind) {
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) expected.push_back(f(x[i], i));
    record(name, got, expected, 1, kind);
}

template <class T>
void activations(Numbers& numbers) {
    const ElementwiseKernels<T>& table = kernels<T>().elementwise;
    const std::vector<T> x = numbers.many<T>(37, -6, 6);
    std::vector<T> y(x.size());
    const auto check = [&](const char* name, Activation function, double (*f)(double)) {
        const bool halves = function == Activation::leaky_relu || function == Activation::elu;
        table.activate(function, halves ? T(0.5) : T{1}, T{0}, x.data(), y.data(), 37);
        record_each(
            name, y, x, [&](double value, std::size_t) { return f(value); }, transcendental);
    };
    check("relu", Activation::relu, [](double v) { return v > 0 ? v : 0; });
    check("leaky_relu", Activation::leaky_relu, [](double v) { return v > 0 ? v : v / 2; });
    check("sigmoid", Activation::sigmoid, sigmoid);
    check("tanh", Activation::tanh, [](double v) { return std::tanh(v); });
    check("elu", Activation::elu, [](double v) { return v > 0 ? v : std::expm1(v) / 2; });
    check("gelu", Activation::gelu,
          [](double v) { return v / 2 * std::erfc(-v * std::sqrt(0.5)); });
    check("silu", Activation::silu, [](double v) { return v * sigmoid(v); });
    check("mish", Activation::mish,
          [](double v) { return v * std::tanh(std::log1p(std::exp(v))); });
    check("softplus", Activation::softplus, [](double v) { return std::log1p(std::exp(v)); });
    check("softsign", Activation::softsign, [](double v) { return v / (1 + std::fabs(v)); });
    const std::vector<T> dy = numbers.many<T>(37);
    table.activate(Activation::tanh, T{0}, T{0}, x.data(), y.data(), 37);
    std::vector<T> dx(x.size());
    table.activate_grad(Activation::tanh, T{0}, T{0}, y.data(), dy.data(), dx.data(), 37);
    record_each(
        "tanh_grad", dx, dy, [&](double g, std::size_t i) { return g * (1 - squared(y[i])); },
        linear);
}

template <class T>
void rows_and_columns(Numbers& numbers) {
    const ElementwiseKernels<T>& table = kernels<T>().elementwise;
    constexpr std::ptrdiff_t kRows = 300;
    constexpr std::ptrdiff_t kColumns = 13;
    const std::vector<T> x = numbers.many<T>(kRows * kColumns);
    const std::vector<T> b = numbers.many<T>(kColumns);
    std::vector<T> y(x.size());
    table.bias(Activation::relu, T{0}, x.data(), b.data(), y.data(), kRows, kColumns);
    record_each(
        "bias", y, x, [&](double v, std::size_t i) { return std::max(v + b[i % kColumns], 0.0); },
        linear);
    table.transpose(x.data(), kColumns, y.data(), kRows, kColumns);
    std::vector<double> expected(x.size());
    std::vector<double> totals(kColumns);
    for (std::ptrdiff_t r = 0; r < kRows; ++r) {
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) {
            expected[at(c * kRows + r)] = x[at(r * kColumns + c)];
            totals[at(c)] += x[at(r * kColumns + c)];
        }
    }
    record("transpose", y, expected, 1, same);
    std::vector<T> sums(kColumns);
    table.column_sums(x.data(), sums.data(), kColumns, kRows, kColumns, false);
    record("column_sums", sums, totals, kRows, linear);
    table.softmax(false, x.data(), y.data(), kRows, kColumns, 1);
    for (std::ptrdiff_t r = 0; r < kRows; ++r) {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) sum += std::exp(x[at(r * kColumns + c)]);
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) {
            expected[at(r * kColumns + c)] = std::exp(x[at(r * kColumns + c)]) / sum;
        }
    }
    record("softmax", y, expected, kColumns, transcendental);
}

template <class T>
void losses(Numbers& numbers) {
    constexpr std::ptrdiff_t kRows = 5;
    constexpr std::ptrdiff_t kColumns = 11;
    const std::vector<T> x = numbers.many<T>(kRows * kColumns);
    const std::vector<T> t = numbers.many<T>(kRows * kColumns);
    const std::vector<std::int32_t> labels = {0, 10, 3, 7, 3};
    std::vector<T> dy(x.size());
    std::vector<double> sums(kRows);
    LossRows<T> rows{x.data(),  nullptr, 1,           T{1},  T(0.5),
                     dy.data(), nullptr, sums.data(), kRows, kColumns};
    kernels<T>().loss.elementwise(LossFunction::squared, T{0}, false, rows, t.data());
    record_each("squared", dy, x, [&](double v, std::size_t i) { return v - t[i]; }, linear);
    kernels<T>().loss.label(rows, labels.data(), nullptr, -1, T{0}, true);
    std::vector<double> slopes(x.size());
    std::vector<double> values;
    for (std::ptrdiff_t r = 0; r < kRows; ++r) {
        const T* row = x.data() + r * kColumns;
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) sum += std::exp(row[c]);
        const std::ptrdiff_t label = labels[at(r)];
        values.push_back(std::log(sum) - row[label]);
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) {
            slopes[at(r * kColumns + c)] = (std::exp(row[c]) / sum - (c == label)) / 2;
        }
    }
    record("cross_entropy_slopes", dy, slopes, kColumns, transcendental);
    record("cross_entropy", std::vector<T>(sums.begin(), sums.end()), values, kColumns,
           transcendental);
}

// One row of 3 x 3 windows, a cell apart, over channels; two of the tap rows lie in the image.
template <class T>
void windows(Numbers& numbers) {
    constexpr std::ptrdiff_t kChannels = 11;
    constexpr std::ptrdiff_t kSize = 9;
    constexpr std::ptrdiff_t kTaps = 3;
    const std::vector<T> x = numbers.many<T>(2 * kSize * kChannels);
    const std::vector<T> w = numbers.many<T>(2 * kTaps * kChannels);
    std::vector<double> largest(kSize * kChannels, -1e30);
    std::vector<double> average(largest.size());
    std::vector<double> weighted(largest.size());
    for (std::ptrdiff_t q = 0; q < kSize; ++q) {
        for (std::ptrdiff_t tap = 0; tap < 2 * kTaps; ++tap) {
            const std::ptrdiff_t cell = q - 1 + tap % kTaps;
            if (cell < 0 || cell >= kSize) continue;
            for (std::ptrdiff_t c = 0; c < kChannels; ++c) {
                const double value = x[at((tap / kTaps * kSize + cell) * kChannels + c)];
                const std::size_t place = at(q * kChannels + c);
                largest[place] = std::max(largest[place], value);
                average[place] += value / 9;
                weighted[place] += value * w[at(tap * kChannels + c)];
            }
        }
    }
    const std::ptrdiff_t row_step = kSize * kChannels;
    const PoolRow row{kChannels, 2, row_step, 1, kSize, kTaps, 1, 1, 1, kSize};
    std::vector<T> y(largest.size());
    std::vector<std::uint8_t> places(y.size());
    kernels<T>().pool.max_row(row, x.data(), y.data(), {places.data(), nullptr});
    record("max_pool", y, largest, 1, same);
    kernels<T>().pool.average_row(row, {9, 0, 0, 0}, x.data(), y.data());
    record("average_pool", y, average, 9, linear);
    const DepthwiseRow depthwise{kChannels, 2,         row_step, kTaps * kChannels,
                                 kChannels, kChannels, kSize,    kTaps,
                                 1,         1,         1,        kSize};
    kernels<T>().depthwise.row(depthwise, x.data(), w.data(), y.data());
    record("depthwise", y, weighted, 2 * kTaps, linear);
}

template <class T>
void layer_norm(Numbers& numbers) {
    constexpr std::ptrdiff_t kRows = 3;
    constexpr std::ptrdiff_t kColumns = 45;
    const std::vector<T> x = numbers.many<T>(kRows * kColumns);
    std::vector<T> y(x.size());
    std::vector<T> means(kRows);
    std::vector<T> scales(kRows);
    kernels<T>().norm.layer_norm(x.data(), nullptr, nullptr, 1e-5, y.data(), means.data(),
                                 scales.data(), kRows, kColumns);
    std::vector<double> expected;
    for (std::ptrdiff_t r = 0; r < kRows; ++r) {
        const T* row = x.data() + r * kColumns;
        double mean = 0;
        double variance = 0;
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) mean += row[c] / double{kColumns};
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) {
            variance += squared(row[c] - mean) / double{kColumns};
        }
        for (std::ptrdiff_t c = 0; c < kColumns; ++c) {
            expected.push_back((row[c] - mean) / std::sqrt(variance + 1e-5));
        }
    }
    record("layer_norm", y, expected, kColumns, linear);
}

template <class T>
void lstm(Numbers& numbers) {
    constexpr std::ptrdiff_t kUnits = 13;
    const std::vector<T> z = numbers.many<T>(4 * kUnits, -4, 4);
    const std::vector<T> before = numbers.many<T>(kUnits);
    std::vector<T> gates = z;
    std::vector<T> c = before;
    std::vector<T> h(kUnits);
    std::vector<T> y(kUnits);
    CellForward<T> step{};
    step.cell = Cell::lstm;
    step.rows = 1;
    step.units = step.stride = kUnits;
    step.gates = gates.data();
    step.gates_row = 4 * kUnits;
    step.h = h.data();
    step.y = y.data();
    step.c = c.data();
    kernels<T>().recurrent.forward(step);
    std::vector<double> cells;
    std::vector<double> states;
    for (std::size_t u = 0; u < kUnits; ++u) {
        const double kept = sigmoid(z[u + kUnits]) * before[u];
        cells.push_back(kept + sigmoid(z[u]) * std::tanh(z[u + 2 * kUnits]));
        states.push_back(sigmoid(z[u + 3 * kUnits]) * std::tanh(cells.back()));
    }
    record("lstm_cells", c, cells, 2, transcendental);
    record("lstm_states", y, states, 2, transcendental);
}

template <class T>
void tables(Numbers& numbers) {
    constexpr std::ptrdiff_t kSize = 21;
    const std::vector<T> x = numbers.many<T>(10 * kSize);
    const std::vector<std::int32_t> rows = {7, 0, 7, 3, 9};
    std::vector<T> y(kSize);
    std::vector<double> expected(kSize);
    double product = 0;
    for (std::size_t c = 0; c < kSize; ++c) {
        for (const std::int32_t row : rows) expected[c] += x[at(row) * kSize + c] / 5.0;
        product += double{x[c]} * double{x[c + kSize]};
    }
    kernels<T>().embedding.sum_rows({x.data(), kSize, rows.data(), 5}, nullptr, T{5}, y.data());
    record("sum_rows", y, expected, 5, linear);
    const T dot = kernels<T>().embedding.dot(x.data(), x.data() + kSize, kSize);
    record("dot", std::vector<T>{dot}, {product}, kSize, linear);
    const double squares = kernels<T>().regularize.sum_squares(1, x.data(), 10 * kSize);
    double total = 0;
    for (const T value : x) total += squared(value);
    record("sum_squares", std::vector<double>{squares}, {total}, 10 * kSize, linear);
}

template <class T>
void updates(Numbers& numbers) {
    constexpr std::ptrdiff_t kCount = 27;
    const std::vector<T> weights = numbers.many<T>(kCount);
    const std::vector<T> g = numbers.many<T>(kCount);
    const std::vector<T> v = numbers.many<T>(kCount, 0, 1);
    std::vector<T> w = weights;
    kernels<T>().update.sgd({T(0.25), T{1}, T(0.5), T{0}, T{0}}, false, w.data(), g.data(), nullptr,
                            kCount);
    record_each(
        "sgd", w, weights,
        [&](double old, std::size_t i) { return old - 0.25 * (g[i] + 0.5 * old); }, linear);
    w = weights;
    std::vector<T> mean(kCount);
    std::vector<T> square = v;
    kernels<T>().update.adam(
        {T(0.25), T{1}, T{0}, T(0.5), T(0.5), T(0.75), T(0.25), T(0.125), T(0.5), T(0.5)}, false,
        w.data(), g.data(), mean.data(), square.data(), nullptr, kCount);
    record_each(
        "adam", w, weights,
        [&](double old, std::size_t i) {
            const double root = std::sqrt(0.75 * v[i] + 0.25 * squared(g[i]));
            return old - 0.25 / 0.5 * (0.5 * g[i]) / (root / 0.5 + 0.125);
        },
        linear);
}

template <class T>
void families(Numbers& numbers) {
    activations<T>(numbers);
    rows_and_columns<T>(numbers);
    losses<T>(numbers);
    windows<T>(numbers);
    layer_norm<T>(numbers);
    lstm<T>(numbers);
    tables<T>(numbers);
    updates<T>(numbers);
}

}  // namespace sample
