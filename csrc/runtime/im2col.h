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
        const std::ptrdiff_t y = p * h.stride - h.before + u * h.dilation;
        for (std::ptrdiff_t v = 0; v < w.kernel; ++v, row += channels) {
            const std::ptrdiff_t x = q * w.stride - w.before + v * w.dilation;
            if (y < 0 || y >= h.size || x < 0 || x >= w.size) {
                std::fill_n(row, channels, T{0});
            } else {
                std::copy_n(image + (y * w.size + x) * channels, channels, row);
            }
        }
    }
}

// The range [first, last) of taps t for which cell + before - t * dilation is one of the windows'
// starts, if it is a multiple of the stride.
inline void taps_over(const WindowAxis& axis, std::ptrdiff_t cell, std::ptrdiff_t& first,
                      std::ptrdiff_t& last) {
    const std::ptrdiff_t lowest = cell + axis.before - (axis.out - 1) * axis.stride;
    first = lowest <= 0 ? 0 : (lowest + axis.dilation - 1) / axis.dilation;
    last = std::min(axis.kernel, (cell + axis.before) / axis.dilation + 1);
}

// Cell (i, j) of an image: the sum of its copies in the rows [out pixels, taps * channels].
template <class T>
void add_copies(const WindowSpace& space, std::ptrdiff_t channels, const T* rows, std::ptrdiff_t i,
                std::ptrdiff_t j, T* cell) {
    const WindowAxis& h = space.h;
    const WindowAxis& w = space.w;
    std::fill_n(cell, channels, T{0});
    std::ptrdiff_t first_u, last_u, first_v, last_v;
    taps_over(h, i, first_u, last_u);
    taps_over(w, j, first_v, last_v);
    for (std::ptrdiff_t u = first_u; u < last_u; ++u) {
        const std::ptrdiff_t y = i + h.before - u * h.dilation;
        if (y % h.stride != 0) continue;
        for (std::ptrdiff_t v = first_v; v < last_v; ++v) {
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
