// The gradient by the input of a window with strides, as correlations of the outgoing gradient.
#pragma once

#include <cstddef>
#include <numeric>

#include "window.h"

namespace pybp {

// One axis of the cells i = phase + a * stride, a in [0, count). Cell a gets dy[a - before + j *
// dilation] from tap last_tap - j * tap_step, for j in [0, taps): a correlation of dy.
struct PhaseAxis {
    std::ptrdiff_t count;
    std::ptrdiff_t taps;  // 0: no window reads these cells
    std::ptrdiff_t before;
    std::ptrdiff_t dilation;
    std::ptrdiff_t last_tap;
    std::ptrdiff_t tap_step;

    // The same as an axis of windows over dy, which has `size` cells.
    WindowAxis correlation(std::ptrdiff_t size) const {
        return {size, count, taps, 1, before, 0, dilation};
    }
};

inline PhaseAxis phase_axis(const WindowAxis& axis, std::ptrdiff_t phase) {
    const std::ptrdiff_t common = std::gcd(axis.stride, axis.dilation);
    PhaseAxis result{};
    result.count = divide_up(axis.size - phase, axis.stride);
    result.tap_step = axis.stride / common;
    result.dilation = axis.dilation / common;
    const auto start = [&](std::ptrdiff_t tap) {
        return phase + axis.before - tap * axis.dilation;  // a multiple of the stride, or no window
    };
    std::ptrdiff_t first = 0;
    while (first < axis.kernel && start(first) % axis.stride != 0) ++first;
    if (first == axis.kernel) return result;
    result.taps = (axis.kernel - 1 - first) / result.tap_step + 1;
    result.last_tap = first + (result.taps - 1) * result.tap_step;
    result.before = -(start(result.last_tap) / axis.stride);
    return result;
}

}  // namespace pybp
