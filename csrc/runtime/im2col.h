// The windows of an image as rows of a matrix, and back.
#pragma once

#include <algorithm>
#include <cstddef>

#include "window.h"

namespace pybp {

// Row (p, q) of the windows of one image [*space, channels]: [taps * channels], 0 in the padding.
template <class T>
void copy_window(const WindowSpace& space, std::ptrdiff_t channels, const T* image,
                 std::ptrdiff_t p, std::ptrdiff_t q, T* row) {
    const WindowAxis& h = space.h;
    const WindowAxis& w = space.w;
    for (std::ptrdiff_t u = 0; u < h.kernel; ++u) {
        const std::ptrdiff_t y = h.start(p) + u * h.dilation;
        for (std::ptrdiff_t v = 0; v < w.kernel; ++v, row += channels) {
            const std::ptrdiff_t x = w.start(q) + v * w.dilation;
            if (y < 0 || y >= h.size || x < 0 || x >= w.size) {
                std::fill_n(row, channels, T{0});
            } else {
                std::copy_n(image + (y * w.size + x) * channels, channels, row);
            }
        }
    }
}

// The taps that may have copied a cell: those with cell + before - t * dilation from 0 to the start
// of the last window. Where that is no multiple of the stride, none has.
inline Range taps_over(const WindowAxis& axis, std::ptrdiff_t cell) {
    const std::ptrdiff_t lowest = cell + axis.before - (axis.out - 1) * axis.stride;
    return {lowest <= 0 ? 0 : divide_up(lowest, axis.dilation),
            std::min(axis.kernel, (cell + axis.before) / axis.dilation + 1)};
}

// Cell (i, j) of an image: the sum of its copies in the rows [out pixels, taps * channels].
template <class T>
void add_copies(const WindowSpace& space, std::ptrdiff_t channels, const T* rows, std::ptrdiff_t i,
                std::ptrdiff_t j, T* cell) {
    const WindowAxis& h = space.h;
    const WindowAxis& w = space.w;
    std::fill_n(cell, channels, T{0});
    const Range rows_over = taps_over(h, i);
    const Range columns_over = taps_over(w, j);
    for (std::ptrdiff_t u = rows_over.begin; u < rows_over.end; ++u) {
        const std::ptrdiff_t y = i + h.before - u * h.dilation;
        if (y % h.stride != 0) continue;
        for (std::ptrdiff_t v = columns_over.begin; v < columns_over.end; ++v) {
            const std::ptrdiff_t x = j + w.before - v * w.dilation;
            if (x % w.stride != 0) continue;
            const T* from =
                rows + ((y / h.stride * w.out + x / w.stride) * space.taps() + u * w.kernel + v) *
                           channels;
            for (std::ptrdiff_t c = 0; c < channels; ++c) cell[c] += from[c];
        }
    }
}

}  // namespace pybp
