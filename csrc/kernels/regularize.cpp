// What acts on gradients and weights around an update, of one ISA level: penalties and bounds.
#include "table.h"
#include "vmath.h"

namespace pybp {
namespace {

template <class T>
void penalty(T l1, T l2, const T* w, T* g, std::ptrdiff_t count) {
    const V<T> zero = {};
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> sign =
            weight > zero ? broadcast(T{1}) : (weight < zero ? broadcast(T{-1}) : weight);
        store(g + i, load(g + i, head) + (weight * l2 + sign * l1), head);
    });
}

template <class T>
void clip_value(T limit, T* g, std::ptrdiff_t count) {
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        store(g + i, min<T>(max<T>(load(g + i, head), -limit), limit), head);
    });
}

// Several chains side by side, since each addition waits for the one before.
template <class T>
double sum_squares(double unit, const T* x, std::ptrdiff_t count) {
    constexpr int kChains = 16;
    double sums[kChains] = {};
    const std::ptrdiff_t whole = count - count % kChains;
    for (std::ptrdiff_t i = 0; i < whole; i += kChains) {
        for (int j = 0; j < kChains; ++j) {
            const double value = static_cast<double>(x[i + j]) * unit;
            sums[j] += value * value;
        }
    }
    for (std::ptrdiff_t i = whole; i < count; ++i) {
        const double value = static_cast<double>(x[i]) * unit;
        sums[i - whole] += value * value;
    }
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
}

template <class T>
void scale(double factor, T* x, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        x[i] = static_cast<T>(static_cast<double>(x[i]) * factor);
    }
}

template <class T>
void column_squares(const T* w, double* sums, std::ptrdiff_t stride, std::ptrdiff_t rows,
                    std::ptrdiff_t columns) {
    for (std::ptrdiff_t c = 0; c < columns; ++c) sums[c] = 0;
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        const T* row = w + r * stride;
        for (std::ptrdiff_t c = 0; c < columns; ++c) {
            const auto value = static_cast<double>(row[c]);
            sums[c] += value * value;
        }
    }
}

template <class T>
void scale_columns(const double* factors, T* w, std::ptrdiff_t stride, std::ptrdiff_t rows,
                   std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        T* row = w + r * stride;
        for (std::ptrdiff_t c = 0; c < columns; ++c) {
            row[c] = static_cast<T>(static_cast<double>(row[c]) * factors[c]);
        }
    }
}

template <class T>
void fill(RegularizeKernels<T>& table) {
    table.penalty = penalty<T>;
    table.clip_value = clip_value<T>;
    table.sum_squares = sum_squares<T>;
    table.scale = scale<T>;
    table.column_squares = column_squares<T>;
    table.scale_columns = scale_columns<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(regularize, RegularizeKernels)

}  // namespace pybp
