// Depthwise convolution of one ISA level: vectors over the channels, nothing is padded or copied.
#include "../tables/depthwise.h"

#include "columns.h"
#include "table.h"

namespace pybp {
namespace {

// kVectors vectors of channels of one row.
template <class T, int kVectors, class Edge>
void row_of(const DepthwiseRow& row, const T* x, const T* w, T* y, Edge edge) {
    const std::ptrdiff_t x_tap = row.dilation * row.channels;
    for (std::ptrdiff_t q = 0; q < row.out; ++q) {
        const std::ptrdiff_t start = q * row.stride - row.before;
        const Columns columns = columns_in(start, row.dilation, row.kernel, 0, row.size);
        V<T> sums[kVectors] = {};
        for (std::ptrdiff_t u = 0; u < row.rows; ++u) {
            const T* cell =
                x + u * row.row_step + (start + columns.begin * row.dilation) * row.channels;
            const T* tap = w + u * row.w_row + columns.begin * row.w_tap;
            for (std::ptrdiff_t v = columns.begin; v < columns.end; ++v) {
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

template <class T, int kVectors, class Edge>
void weight_row_of(const DepthwiseRow& row, const T* x, const T* y, T* w, Edge edge) {
    const std::ptrdiff_t x_pixel = row.stride * row.channels;
    for (std::ptrdiff_t u = 0; u < row.rows; ++u) {
        for (std::ptrdiff_t v = 0; v < row.kernel; ++v) {
            // the outputs whose tap in this column lies in the row
            const Columns outputs =
                columns_in(v * row.dilation - row.before, row.stride, row.out, 0, row.size);
            const T* cell =
                x + u * row.row_step +
                (outputs.begin * row.stride - row.before + v * row.dilation) * row.channels;
            const T* out = y + outputs.begin * row.y_pixel;
            V<T> sums[kVectors] = {};
            for (std::ptrdiff_t q = outputs.begin; q < outputs.end; ++q) {
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
