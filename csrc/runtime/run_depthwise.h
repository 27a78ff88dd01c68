// Depthwise convolution: each channel for itself, a kernel call for each row of outputs.
#pragma once

#include <algorithm>

#include "conv_sizes.h"
#include "parts.h"
#include "phase.h"
#include "step.h"

namespace pybp {

// What the rows of a convolution have in common; `y` is the side of the outputs.
inline DepthwiseRow depthwise_row(const ConvSizes& sizes) {
    const WindowAxis& w = sizes.space.w;
    DepthwiseRow row{};
    row.channels = row.y_pixel = row.w_tap = sizes.groups;
    row.row_step = sizes.space.h.dilation * w.size * sizes.groups;
    row.w_row = w.kernel * sizes.groups;
    row.out = w.out;
    row.kernel = w.kernel;
    row.stride = w.stride;
    row.before = w.before;
    row.dilation = w.dilation;
    row.size = w.size;
    return row;
}

// Turns the taps round, if asked for. Returns the weight of tap (0, 0).
template <class W>
W* first_weight(W* w, bool flip, DepthwiseRow& row, const WindowSpace& space) {
    if (!flip) return w;
    W* last = w + (space.h.kernel - 1) * row.w_row + (space.w.kernel - 1) * row.w_tap;
    row.w_row = -row.w_row;
    row.w_tap = -row.w_tap;
    return last;
}

template <class T>
void conv_channels(const Conv& op, const ConvSizes& sizes, const Step<T>& step) {
    const WindowAxis& h = sizes.space.h;
    DepthwiseRow common = depthwise_row(sizes);
    const T* w = first_weight(static_cast<const T*>(step.data(op.w)), op.flip, common, sizes.space);
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    const T* bias = step.data(op.b);
    const bool finish = bias || op.activation != Activation::identity;
    const std::ptrdiff_t line = sizes.space.w.out * sizes.groups;
    const auto run_row = [&](std::ptrdiff_t i) {
        const std::ptrdiff_t image = i / h.out;
        const Range taps = h.taps_inside(i % h.out);
        const std::ptrdiff_t cell = h.start(i % h.out) + taps.begin * h.dilation;
        DepthwiseRow row = common;
        row.rows = taps.end - taps.begin;
        step.kernels.depthwise.row(row, x + (image * h.size + cell) * row.size * row.channels,
                                   w + taps.begin * row.w_row, y + i * line);
        if (finish) {
            step.kernels.elementwise.bias_activate(op.activation, static_cast<T>(op.alpha), bias,
                                                   y + i * line, sizes.groups, row.out,
                                                   sizes.groups);
        }
    };
    parallel_ranges(step.team, sizes.images * h.out, kGrain / (line * sizes.space.taps()),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) run_row(i);
                    });
}

// The cells of one phase of the columns, for a row of dx whose tap rows are known.
template <class T>
void depthwise_cells(const Step<T>& step, const ConvSizes& sizes, DepthwiseRow row,
                     std::ptrdiff_t phase, const T* dy, const T* w, T* dx) {
    const WindowAxis& axis = sizes.space.w;
    const PhaseAxis columns = phase_axis(axis, phase);
    row.out = columns.count;
    row.kernel = columns.taps;
    row.stride = 1;
    row.before = columns.before;
    row.dilation = columns.dilation;
    row.size = axis.out;
    row.y_pixel = axis.stride * sizes.groups;
    w += columns.last_tap * row.w_tap;
    row.w_tap *= -columns.tap_step;
    step.kernels.depthwise.row(row, dy, w, dx + phase * sizes.groups);
}

template <class T>
void conv_channels(const ConvGradInput& op, const ConvSizes& sizes, const Step<T>& step) {
    const WindowAxis& h = sizes.space.h;
    const WindowAxis& w = sizes.space.w;
    DepthwiseRow common = depthwise_row(sizes);
    const T* weight =
        first_weight(static_cast<const T*>(step.data(op.w)), op.flip, common, sizes.space);
    const T* dy = step.data(op.dy);
    T* dx = step.data(op.dx);
    const T* saved = step.data(op.x);
    const std::ptrdiff_t line = w.size * sizes.groups;
    const std::ptrdiff_t out_line = w.out * sizes.groups;
    const auto run_row = [&](std::ptrdiff_t i) {
        const std::ptrdiff_t image = i / h.size;
        const PhaseAxis rows = phase_axis(h, i % h.size % h.stride);
        const WindowAxis axis = rows.correlation(h.out);
        const Range taps = axis.taps_inside(i % h.size / h.stride);
        const std::ptrdiff_t line_of_dy =
            image * h.out + axis.start(i % h.size / h.stride) + taps.begin * axis.dilation;
        DepthwiseRow row = common;
        row.rows = taps.end - taps.begin;
        row.row_step = rows.dilation * out_line;
        row.w_row = -rows.tap_step * common.w_row;
        const std::ptrdiff_t tap = rows.last_tap - taps.begin * rows.tap_step;
        for (std::ptrdiff_t phase = 0; phase < std::min(w.stride, w.size); ++phase) {
            depthwise_cells(step, sizes, row, phase, dy + line_of_dy * out_line,
                            weight + tap * common.w_row, dx + i * line);
        }
        if (saved) {
            step.kernels.elementwise.activate_grad(op.activation, static_cast<T>(op.alpha), T{0},
                                                   saved + i * line, dx + i * line, dx + i * line,
                                                   line);
        }
    };
    parallel_ranges(step.team, sizes.images * h.size, kGrain / (line * sizes.space.taps()),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) run_row(i);
                    });
}

inline std::ptrdiff_t depthwise_parts(const ConvSizes& sizes) {
    return part_count(sizes.images * sizes.space.h.out,
                      sizes.space.w.out * sizes.groups * sizes.space.taps());
}

template <class T>
std::ptrdiff_t channels_scratch(const ConvSizes& sizes) {
    return depthwise_parts(sizes) * part_stride(sizes.space.taps() * sizes.groups) *
           static_cast<std::ptrdiff_t>(sizeof(T));
}

template <class T>
void conv_channels(const ConvGradWeight& op, const ConvSizes& sizes, const Step<T>& step) {
    const WindowAxis& h = sizes.space.h;
    DepthwiseRow common = depthwise_row(sizes);
    const std::ptrdiff_t size = sizes.space.taps() * sizes.groups;
    const std::ptrdiff_t count = depthwise_parts(sizes);
    const std::ptrdiff_t rows = sizes.images * h.out;
    const T* x = step.data(op.x);
    const T* dy = step.data(op.dy);
    T* parts = reinterpret_cast<T*>(step.scratch);
    step.team.parallel_for(count, [&](std::ptrdiff_t part) {
        T* sums = parts + part * part_stride(size);
        std::fill_n(sums, size, T{0});
        DepthwiseRow row = common;
        T* w = first_weight(sums, op.flip, row, sizes.space);
        for (std::ptrdiff_t i = rows * part / count; i < rows * (part + 1) / count; ++i) {
            const Range taps = h.taps_inside(i % h.out);
            const std::ptrdiff_t cell = h.start(i % h.out) + taps.begin * h.dilation;
            row.rows = taps.end - taps.begin;
            step.kernels.depthwise.weight_row(
                row, x + (i / h.out * h.size + cell) * row.size * row.channels,
                dy + i * row.out * row.channels, w + taps.begin * row.w_row);
        }
    });
    add_parts(step.team, parts, count, size, step.data(op.dw), op.accumulate);
}

}  // namespace pybp
