// Depthwise convolution of one ISA level: vectors over the channels, nothing is padded or copied.
#include "../tables/depthwise.h"

#include "simd.h"
#include "table.h"

namespace pybp {
namespace {

// The tap columns [first, last) of output q whose cells lie in the row.
struct Columns {
    std::ptrdiff_t first;
    std::ptrdiff_t last;
};

PYBP_INLINE Columns columns_of(const DepthwiseRow& row, std::ptrdiff_t start) {
    const std::ptrdiff_t d = row.dilation;
    Columns columns{0, row.kernel};
    if (start < 0) columns.first = (-start + d - 1) / d;
    if (start + (row.kernel - 1) * d >= row.size) {
        columns.last = start >= row.size ? 0 : (row.size - start + d - 1) / d;
    }
    return columns;
}

// kVectors vectors of channels of one row.
template <class T, int kVectors, class Edge>
void row_of(const DepthwiseRow& row, const T* x, const T* w, T* y, Edge edge) {
    const std::ptrdiff_t x_tap = row.dilation * row.channels;
    for (std::ptrdiff_t q = 0; q < row.out; ++q) {
        const std::ptrdiff_t start = q * row.stride - row.before;
        const Columns columns = columns_of(row, start);
        V<T> sums[kVectors] = {};
        for (std::ptrdiff_t u = 0; u < row.rows; ++u) {
            const T* cell =
                x + u * row.row_step + (start + columns.first * row.dilation) * row.channels;
            const T* tap = w + u * row.w_row + columns.first * row.w_tap;
            for (std::ptrdiff_t v = columns.first; v < columns.last; ++v) {
#pragma GCC unroll 8
                for (int i = 0; i < kVectors; ++i) {
                    sums[i] = load(cell + i * kLanes<T>, edge) * load(tap + i * kLanes<T>, edge) +
                              sums[i];
                }
                cell += x_tap;
                tap += row.w_tap;
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i)
            store(y + q * row.y_pixel + i * kLanes<T>, sums[i], edge);
    }
}

// The outputs [first, last) whose tap in column v lies in the row.
PYBP_INLINE Columns outputs_of(const DepthwiseRow& row, std::ptrdiff_t v) {
    const std::ptrdiff_t start = v * row.dilation - row.before;  // of q = 0
    const std::ptrdiff_t s = row.stride;
    Columns outputs{0, row.out};
    if (start < 0) outputs.first = (-start + s - 1) / s;
    if (start + (row.out - 1) * s >= row.size) {
        outputs.last = start >= row.size ? 0 : (row.size - start + s - 1) / s;
    }
    return outputs;
}

template <class T, int kVectors, class Edge>
void weight_row_of(const DepthwiseRow& row, const T* x, const T* y, T* w, Edge edge) {
    const std::ptrdiff_t x_pixel = row.stride * row.channels;
    for (std::ptrdiff_t u = 0; u < row.rows; ++u) {
        for (std::ptrdiff_t v = 0; v < row.kernel; ++v) {
            const Columns outputs = outputs_of(row, v);
            const T* cell =
                x + u * row.row_step +
                (outputs.first * row.stride - row.before + v * row.dilation) * row.channels;
            const T* out = y + outputs.first * row.y_pixel;
            V<T> sums[kVectors] = {};
            for (std::ptrdiff_t q = outputs.first; q < outputs.last; ++q) {
#pragma GCC unroll 8
                for (int i = 0; i < kVectors; ++i) {
                    sums[i] = load(cell + i * kLanes<T>, edge) * load(out + i * kLanes<T>, edge) +
                              sums[i];
                }
                cell += x_pixel;
                out += row.y_pixel;
            }
            T* tap = w + u * row.w_row + v * row.w_tap;
#pragma GCC unroll 8
            for (int i = 0; i < kVectors; ++i) {
                T* at = tap + i * kLanes<T>;
                store(at, load(at, edge) + sums[i], edge);
            }
        }
    }
}

// Calls f(channel, number of vectors as a type, edge) for all channels, four vectors at a time.
template <int kCount>
struct Count {
    static constexpr int value = kCount;
};

template <class T, class F>
PYBP_INLINE void for_each_channels(std::ptrdiff_t channels, F f) {
    constexpr int kMany = 4;
    std::ptrdiff_t c = 0;
    for (; c + kMany * kLanes<T> <= channels; c += kMany * kLanes<T>) {
        f(c, Count<kMany>{}, Whole<T>{});
    }
    for_each_vector<T>(channels - c,
                       [&](std::ptrdiff_t i, auto edge) { f(c + i, Count<1>{}, edge); });
}

template <class T>
void row(const DepthwiseRow& row, const T* x, const T* w, T* y) {
    for_each_channels<T>(row.channels, [&](std::ptrdiff_t c, auto count, auto edge) {
        row_of<T, decltype(count)::value>(row, x + c, w + c, y + c, edge);
    });
}

template <class T>
void weight_row(const DepthwiseRow& row, const T* x, const T* y, T* w) {
    for_each_channels<T>(row.channels, [&](std::ptrdiff_t c, auto count, auto edge) {
        weight_row_of<T, decltype(count)::value>(row, x + c, y + c, w + c, edge);
    });
}

template <class T>
void fill(DepthwiseKernels<T>& table) {
    table.row = row<T>;
    table.weight_row = weight_row<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(depthwise, DepthwiseKernels)

}  // namespace pybp
