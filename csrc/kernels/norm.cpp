// Batch and layer normalisation of one ISA level.
#include "slope.h"
#include "table.h"

namespace pybp {
namespace {

// ------------------------------------------------------------------------- down the columns

// Sums down the columns of a block: term(row, offset, head, terms) gives the kSums terms of a
// vector. A few vectors side by side, since each addition waits for the one before.
template <class T, int kVectors, int kSums, class HeadType, class F>
PYBP_INLINE void sum_down(std::ptrdiff_t rows, std::ptrdiff_t at, HeadType last, F term,
                          T* const (&sums)[kSums]) {
    V<T> total[kVectors][kSums] = {};
    const auto add = [&](int j, std::ptrdiff_t r, auto head) {
        V<T> terms[kSums];
        term(r, at + j * kLanes<T>, head, terms);
        for (int s = 0; s < kSums; ++s) total[j][s] = total[j][s] + terms[s];
    };
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors - 1; ++j) add(j, r, Whole<T>{});
        add(kVectors - 1, r, last);
    }
    for (int s = 0; s < kSums; ++s) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors - 1; ++j) store(sums[s] + at + j * kLanes<T>, total[j][s]);
        store(sums[s] + at + (kVectors - 1) * kLanes<T>, total[kVectors - 1][s], last);
    }
}

template <class T, int kSums, class F>
PYBP_INLINE void sum_block(const NormBlock& block, F term, T* const (&sums)[kSums]) {
    constexpr int kVectors = 4;
    constexpr std::ptrdiff_t kWide = kVectors * kLanes<T>;
    std::ptrdiff_t c = 0;
    for (; c + kWide <= block.columns; c += kWide) {
        sum_down<T, kVectors, kSums>(block.rows, c, Whole<T>{}, term, sums);
    }
    for_each_vector<T>(block.columns - c, [&](std::ptrdiff_t i, auto head) {
        sum_down<T, 1, kSums>(block.rows, c + i, head, term, sums);
    });
}

template <class T>
void squares(const NormBlock& block, const T* x, const T* mean, T* sums) {
    const auto term = [&](std::ptrdiff_t r, std::ptrdiff_t c, auto head, V<T>(&terms)[1]) {
        const V<T> distance = load(x + r * block.stride + c, head) - load(mean + c, head);
        terms[0] = distance * distance;
    };
    sum_block<T, 1>(block, term, {sums});
}

template <class T>
void add_partials(const T* partials, double* totals, std::ptrdiff_t stride, std::ptrdiff_t rows,
                  std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        const T* row = partials + r * stride;
        for (std::ptrdiff_t c = 0; c < columns; ++c) totals[c] += static_cast<double>(row[c]);
    }
}

template <class T>
void batch_norm_sums(const NormBlock& block, const SlopedGradient<T>& gradient, const T* x,
                     const T* mean, const T* rstd, T* sums, T* products) {
    with_slope(gradient.y != nullptr, gradient.function, gradient.alpha, [&](auto sloped) {
        const auto term = [&](std::ptrdiff_t r, std::ptrdiff_t c, auto head, V<T>(&terms)[2]) {
            const std::ptrdiff_t i = r * block.stride + c;
            terms[0] = sloped(gradient.dy, gradient.y, i, head);
            const V<T> distance = load(x + i, head) - load(mean + c, head);
            terms[1] = terms[0] * (distance * load(rstd + c, head));
        };
        sum_block<T, 2>(block, term, {sums, products});
    });
}

template <class T>
void layer_norm_sums(const NormBlock& block, const T* dy, const T* x, const T* mean, const T* rstd,
                     T* sums, T* products) {
    const auto term = [&](std::ptrdiff_t r, std::ptrdiff_t c, auto head, V<T>(&terms)[2]) {
        const std::ptrdiff_t i = r * block.stride + c;
        terms[0] = load(dy + i, head);
        terms[1] = terms[0] * ((load(x + i, head) - mean[r]) * rstd[r]);
    };
    sum_block<T, 2>(block, term, {sums, products});
}

// -------------------------------------------------------------------------- batch, by element

template <class T>
void batch_norm(Activation function, T alpha, const T* x, const T* mean, const T* scale,
                const T* shift, T* y, std::ptrdiff_t rows, std::ptrdiff_t columns) {
    const Parameters<T> parameters{alpha, T{0}};
    with_activation(function, [&](auto f) {
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            const T* in = x + r * columns;
            T* out = y + r * columns;
            for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
                const V<T> distance = load(in + i, head) - load(mean + i, head);
                const V<T> value = distance * load(scale + i, head) + load(shift + i, head);
                store(out + i, f.template value<T>(value, parameters), head);
            });
        }
    });
}

template <bool kCentre, class T, class Gradient>
void scale_gradient(const SlopedGradient<T>& from, Gradient gradient, const T* x, const T* mean,
                    const T* scale, const T* offset, const T* factor, T* dx, std::ptrdiff_t rows,
                    std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        for_each_vector<T>(columns, [&](std::ptrdiff_t c, auto head) {
            const std::ptrdiff_t i = r * columns + c;
            V<T> g = gradient(from.dy, from.y, i, head);
            if constexpr (kCentre) {
                const V<T> distance = load(x + i, head) - load(mean + c, head);
                g = (g - load(offset + c, head)) - distance * load(factor + c, head);
            }
            store(dx + i, load(scale + c, head) * g, head);
        });
    }
}

template <class T>
void batch_norm_grad(const SlopedGradient<T>& gradient, const T* x, const T* mean, const T* scale,
                     const T* offset, const T* factor, T* dx, std::ptrdiff_t rows,
                     std::ptrdiff_t columns) {
    with_slope(gradient.y != nullptr, gradient.function, gradient.alpha, [&](auto sloped) {
        if (offset) {
            scale_gradient<true>(gradient, sloped, x, mean, scale, offset, factor, dx, rows,
                                 columns);
        } else {
            scale_gradient<false>(gradient, sloped, x, mean, scale, offset, factor, dx, rows,
                                  columns);
        }
    });
}

// -------------------------------------------------------------------------- layer, by row

// Sums over a row: term(offset, head, terms) gives the kSums terms of a vector, 0 past the row.
template <class T, int kSums, class F>
PYBP_INLINE void sum_row(std::ptrdiff_t count, F term, T (&sums)[kSums]) {
    constexpr int kVectors = 4;
    V<T> total[kVectors][kSums] = {};
    const auto add = [&](int j, std::ptrdiff_t i, auto head) {
        V<T> terms[kSums];
        term(i, head, terms);
        for (int s = 0; s < kSums; ++s) total[j][s] = total[j][s] + terms[s];
    };
    std::ptrdiff_t i = 0;
    for (; i + kVectors * kLanes<T> <= count; i += kVectors * kLanes<T>) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) add(j, i + j * kLanes<T>, Whole<T>{});
    }
    for_each_vector<T>(count - i, [&](std::ptrdiff_t rest, auto head) { add(0, i + rest, head); });
    for (int s = 0; s < kSums; ++s) {
        sums[s] = sum_lanes<T>((total[0][s] + total[1][s]) + (total[2][s] + total[3][s]));
    }
}

template <class T>
PYBP_INLINE T mean_of(const T* x, std::ptrdiff_t count) {
    T sums[1];
    sum_row<T, 1>(
        count, [&](std::ptrdiff_t i, auto head, V<T>(&terms)[1]) { terms[0] = load(x + i, head); },
        sums);
    return sums[0] / static_cast<T>(count);
}

template <class T>
PYBP_INLINE T variance_of(const T* x, T mean, std::ptrdiff_t count) {
    T sums[1];
    sum_row<T, 1>(
        count,
        [&](std::ptrdiff_t i, auto head, V<T>(&terms)[1]) {
            const V<T> distance = keep_or(load(x + i, head) - mean, head, T{0});
            terms[0] = distance * distance;
        },
        sums);
    return sums[0] / static_cast<T>(count);
}

template <class T>
void layer_norm(const T* x, const T* gamma, const T* beta, double eps, T* y, T* mean, T* rstd,
                std::ptrdiff_t rows, std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r, x += columns, y += columns) {
        const T centre = mean_of(x, columns);
        const T variance = variance_of(x, centre, columns);
        const T scale = static_cast<T>(1 / __builtin_sqrt(static_cast<double>(variance) + eps));
        for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
            V<T> value = (load(x + i, head) - centre) * scale;
            if (gamma) value = value * load(gamma + i, head);
            if (beta) value = value + load(beta + i, head);
            store(y + i, value, head);
        });
        mean[r] = centre;
        rstd[r] = scale;
    }
}

template <class T>
void layer_norm_grad(const T* dy, const T* x, const T* mean, const T* rstd, const T* gamma, T* dx,
                     std::ptrdiff_t rows, std::ptrdiff_t columns) {
    const T count = static_cast<T>(columns);
    for (std::ptrdiff_t r = 0; r < rows; ++r, dy += columns, x += columns, dx += columns) {
        const T centre = mean[r];
        const T scale = rstd[r];
        const auto gradient = [&](std::ptrdiff_t i, auto head) {
            const V<T> g = load(dy + i, head);
            return gamma ? g * load(gamma + i, head) : g;
        };
        const auto xhat = [&](std::ptrdiff_t i, auto head) {
            return (load(x + i, head) - centre) * scale;
        };
        T sums[2];
        sum_row<T, 2>(
            columns,
            [&](std::ptrdiff_t i, auto head, V<T>(&terms)[2]) {
                terms[0] = gradient(i, head);
                terms[1] = keep_or(terms[0] * xhat(i, head), head, T{0});
            },
            sums);
        const T mean_g = sums[0] / count;
        const T mean_product = sums[1] / count;
        for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
            const V<T> centred = (gradient(i, head) - mean_g) - xhat(i, head) * mean_product;
            store(dx + i, centred * scale, head);
        });
    }
}

template <class T>
void fill(NormKernels<T>& table) {
    table.squares = squares<T>;
    table.add_partials = add_partials<T>;
    table.batch_norm = batch_norm<T>;
    table.batch_norm_sums = batch_norm_sums<T>;
    table.batch_norm_grad = batch_norm_grad<T>;
    table.layer_norm = layer_norm<T>;
    table.layer_norm_grad = layer_norm_grad<T>;
    table.layer_norm_sums = layer_norm_sums<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(norm, NormKernels)

}  // namespace pybp
