// Activations, softmax, dropout, column sums and the raw vector maths of one ISA level.
#include "activations.h"
#include "philox.h"
#include "softmax.h"
#include "table.h"
#include "transpose.h"

namespace pybp {
namespace {

template <class T>
void activate(Activation function, T alpha, T beta, const T* x, T* y, std::ptrdiff_t count) {
    const Parameters<T> parameters{alpha, beta};
    with_activation(function, [&](auto f) {
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            store(y + i, f.template value<T>(load(x + i, head), parameters), head);
        });
    });
}

template <class T>
void activate_grad(Activation function, T alpha, T beta, const T* saved, const T* dy, T* dx,
                   std::ptrdiff_t count) {
    const Parameters<T> parameters{alpha, beta};
    with_activation(function, [&](auto f) {
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            const V<T> slope = f.template slope<T>(load(saved + i, head), parameters);
            store(dx + i, load(dy + i, head) * slope, head);
        });
    });
}

template <class T>
void bias_activate(Activation function, T alpha, const T* b, T* y, std::ptrdiff_t stride,
                   std::ptrdiff_t rows, std::ptrdiff_t columns) {
    const Parameters<T> parameters{alpha, T{0}};
    with_activation(function, [&](auto f) {
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            T* row = y + r * stride;
            for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
                V<T> x = load(row + i, head);
                if (b) x = x + load(b + i, head);
                store(row + i, f.template value<T>(x, parameters), head);
            });
        }
    });
}

template <class T>
void add(Activation function, T alpha, const T* a, const T* b, T* y, std::ptrdiff_t count) {
    const Parameters<T> parameters{alpha, T{0}};
    with_activation(function, [&](auto f) {
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            const V<T> sum = load(a + i, head) + load(b + i, head);
            store(y + i, f.template value<T>(sum, parameters), head);
        });
    });
}

template <class T>
void multiply(const T* a, const T* b, T* y, std::ptrdiff_t count) {
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        store(y + i, load(a + i, head) * load(b + i, head), head);
    });
}

template <class T>
void bias(Activation function, T alpha, const T* x, const T* b, T* y, std::ptrdiff_t rows,
          std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        add(function, alpha, x + r * columns, b, y + r * columns, columns);
    }
}

template <class T>
void softmax(bool log, const T* x, T* y, std::ptrdiff_t outer, std::ptrdiff_t size,
             std::ptrdiff_t inner) {
    for (std::ptrdiff_t o = 0; o < outer; ++o, x += size * inner, y += size * inner) {
        if (inner == 1) {
            softmax_row(log, x, y, size);
        } else {
            for_each_vector<T>(inner, [&](std::ptrdiff_t i, auto head) {
                softmax_columns(log, x + i, y + i, size, inner, head);
            });
        }
    }
}

template <class T>
void softmax_grad(bool log, const T* y, const T* dy, T* dx, std::ptrdiff_t outer,
                  std::ptrdiff_t size, std::ptrdiff_t inner) {
    const std::ptrdiff_t step = size * inner;
    for (std::ptrdiff_t o = 0; o < outer; ++o, y += step, dy += step, dx += step) {
        if (inner == 1) {
            softmax_grad_row(log, y, dy, dx, size);
        } else {
            for_each_vector<T>(inner, [&](std::ptrdiff_t i, auto head) {
                softmax_grad_columns(log, y + i, dy + i, dx + i, size, inner, head);
            });
        }
    }
}

template <class T>
void dropout(std::uint64_t seed, std::uint32_t stream, std::uint64_t step, double p, const T* x,
             T* y, std::ptrdiff_t first, std::ptrdiff_t count) {
    if (p >= 1) {
        for (std::ptrdiff_t i = 0; i < count; ++i) y[i] = T{0};
        return;
    }
    constexpr std::ptrdiff_t kGroup = 4 * kPhiloxBlocks;
    const PhiloxStream at{seed, stream, step};
    const auto threshold = static_cast<std::uint32_t>(p * 4294967296.0);
    const T scale = static_cast<T>(1 / (1 - p));
    std::uint32_t words[kGroup];
    const std::ptrdiff_t end = first + count;
    for (std::ptrdiff_t group = first / kGroup * kGroup; group < end; group += kGroup) {
        philox_blocks(at, static_cast<std::uint64_t>(group / 4), words);
        const std::ptrdiff_t from = group < first ? first - group : 0;
        const std::ptrdiff_t to = end - group < kGroup ? end - group : kGroup;
        const T* in = x + (group - first);
        T* out = y + (group - first);
        for (std::ptrdiff_t i = from; i < to; ++i) {
            const T kept = in[i] * scale;  // read in any case, so that the loop has no branch
            out[i] = words[i] >= threshold ? kept : T{0};
        }
    }
}

template <class T>
void drop_channels(const T* factors, const T* x, T* y, std::ptrdiff_t rows,
                   std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        for_each_vector<T>(columns, [&](std::ptrdiff_t c, auto head) {
            const V<T> factor = load(factors + c, head);
            const V<T> kept = load(x + r * columns + c, head) * factor;
            store(y + r * columns + c, factor == T{0} ? V<T>{} : kept, head);
        });
    }
}

template <class T>
void transpose(const T* x, std::ptrdiff_t stride, T* y, std::ptrdiff_t rows,
               std::ptrdiff_t columns) {
    for (std::ptrdiff_t r = 0; r < rows; r += kLanes<T>) {
        const T* block = x + r * stride;
        const std::ptrdiff_t height = rows - r < kLanes<T> ? rows - r : kLanes<T>;
        const Head<T> head(height);
        const RowPointers<T> pointers(block, stride);
        for (std::ptrdiff_t c = 0; c < columns; c += kPiece<T>) {
            const std::ptrdiff_t width = columns - c < kPiece<T> ? columns - c : kPiece<T>;
            V<T> moved[kPiece<T>];
            if (height == kLanes<T> && width == kPiece<T>) {
                load_columns(pointers, stride, c, moved);
            } else {
                load_edge_columns(block + c, stride, height, width, moved);
            }
            for (std::ptrdiff_t i = 0; i < width; ++i) {
                store(y + (c + i) * rows + r, moved[i], head);
            }
        }
    }
}

// The sums of `kVectors` vectors of columns, the last one partial.
template <class T, int kVectors, class HeadType>
PYBP_INLINE void sum_columns(const T* x, T* sums, std::ptrdiff_t stride, std::ptrdiff_t rows,
                             bool accumulate, HeadType last) {
    V<T> total[kVectors] = {};
    for (std::ptrdiff_t begin = 0; begin < rows; begin += kChunk) {
        const std::ptrdiff_t end = rows - begin < kChunk ? rows : begin + kChunk;
        V<T> chunk[kVectors] = {};
        for (std::ptrdiff_t r = begin; r < end; ++r) {
            const T* row = x + r * stride;
#pragma GCC unroll 8
            for (int j = 0; j < kVectors - 1; ++j) chunk[j] = chunk[j] + load(row + j * kLanes<T>);
            chunk[kVectors - 1] =
                chunk[kVectors - 1] + load(row + (kVectors - 1) * kLanes<T>, last);
        }
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) total[j] = total[j] + chunk[j];
    }
#pragma GCC unroll 8
    for (int j = 0; j < kVectors - 1; ++j) {
        T* out = sums + j * kLanes<T>;
        store(out, accumulate ? load(out) + total[j] : total[j]);
    }
    T* out = sums + (kVectors - 1) * kLanes<T>;
    const V<T> edge = total[kVectors - 1];
    store(out, accumulate ? load(out, last) + edge : edge, last);
}

template <class T>
void column_sums(const T* x, T* sums, std::ptrdiff_t stride, std::ptrdiff_t rows,
                 std::ptrdiff_t columns, bool accumulate) {
    constexpr std::ptrdiff_t kWide = 8 * kLanes<T>;
    std::ptrdiff_t c = 0;
    for (; c + kWide <= columns; c += kWide) {
        sum_columns<T, 8>(x + c, sums + c, stride, rows, accumulate, Whole<T>{});
    }
    for_each_vector<T>(columns - c, [&](std::ptrdiff_t i, auto head) {
        sum_columns<T, 1>(x + c + i, sums + c + i, stride, rows, accumulate, head);
    });
}

#define PYBP_MATHS(name)                                             \
    template <class T>                                               \
    void map_##name(const T* x, T* y, std::ptrdiff_t count) {        \
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) { \
            store(y + i, name<T>(load(x + i, head)), head);          \
        });                                                          \
    }
PYBP_MATHS(exp)
PYBP_MATHS(expm1)
PYBP_MATHS(log)
PYBP_MATHS(log1p)
PYBP_MATHS(tanh)
PYBP_MATHS(sigmoid)
PYBP_MATHS(normal_cdf)
#undef PYBP_MATHS

template <class T>
void fill(ElementwiseKernels<T>& table) {
    table.activate = activate<T>;
    table.activate_grad = activate_grad<T>;
    table.bias_activate = bias_activate<T>;
    table.add = add<T>;
    table.multiply = multiply<T>;
    table.bias = bias<T>;
    table.softmax = softmax<T>;
    table.softmax_grad = softmax_grad<T>;
    table.dropout = dropout<T>;
    table.drop_channels = drop_channels<T>;
    table.transpose = transpose<T>;
    table.column_sums = column_sums<T>;
    table.exp = map_exp<T>;
    table.expm1 = map_expm1<T>;
    table.log = map_log<T>;
    table.log1p = map_log1p<T>;
    table.tanh = map_tanh<T>;
    table.sigmoid = map_sigmoid<T>;
    table.normal_cdf = map_normal_cdf<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(elementwise, ElementwiseKernels)

}  // namespace pybp
