// The ops of a convolution; conv_sizes.h chooses among the ways to compute them.
#pragma once

#include <algorithm>

#include "channels.h"
#include "conv_sizes.h"
#include "correlate.h"
#include "correlate_weight.h"
#include "phase.h"
#include "run_depthwise.h"
#include "run_im2col.h"

namespace pybp {

// ------------------------------------------------------------------------------------ forward

// Weights are packed for more output pixels than that; below it costs more than it brings.
inline constexpr std::ptrdiff_t kUnpackedPixels = 512;

template <class T>
CorrelationArgs<T> forward_args(const Convolution& op, const ConvSizes& sizes) {
    CorrelationArgs<T> args{};
    args.h = sizes.space.h;
    args.w = sizes.space.w;
    args.images = sizes.images;
    args.groups = sizes.groups;
    args.in = sizes.in;
    args.out = sizes.out;
    args.flip = op.flip;
    args.packed = sizes.images * sizes.space.out_pixels() > kUnpackedPixels;
    args.b_row = sizes.groups * sizes.out;
    args.b_group = args.packed ? round_up(sizes.out, kWidestPanel) * sizes.depth() : sizes.out;
    args.y_pixel = sizes.groups * sizes.out;
    args.y_row = sizes.space.w.out * args.y_pixel;
    args.y_image = sizes.space.h.out * args.y_row;
    return args;
}

template <class T>
std::ptrdiff_t packed_bytes(const CorrelationArgs<T>& args) {
    return args.packed
               ? round_up(args.groups * args.b_group, 64) * static_cast<std::ptrdiff_t>(sizeof(T))
               : 0;
}

template <class T>
std::ptrdiff_t scratch_bytes(const Conv& op, const Extents& extents, int threads) {
    const ConvSizes sizes = sizes_of(op, extents);
    if (forward_path(op, sizes) == ConvPath::rows) return rows_scratch<T>(sizes, threads);
    const auto args = forward_args<T>(op, sizes);
    return packed_bytes(args) +
           static_cast<std::ptrdiff_t>(correlation_scratch_bytes(args, threads));
}

// The kernels w [taps, in, groups * out] of all groups as packed panels.
template <class T>
void pack_kernels(const Step<T>& step, const CorrelationArgs<T>& args, const T* w, T* packed) {
    const std::ptrdiff_t panel = step.kernels.gemm.panel;
    const std::ptrdiff_t panels = divide_up(args.out, panel);
    const std::ptrdiff_t depth = args.depth();
    parallel_ranges(step.team, args.groups * panels, kGrain / (depth * panel),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            const std::ptrdiff_t group = i / panels;
                            const std::ptrdiff_t j = i % panels * panel;
                            step.kernels.gemm.pack_b(w + group * args.out + j, args.b_row, false,
                                                     depth, std::min(panel, args.out - j),
                                                     packed + group * args.b_group + j * depth);
                        }
                    });
}

template <class T>
void run(const Conv& op, const Step<T>& step) {
    const ConvSizes sizes = sizes_of(op, step.extents);
    const ConvPath path = forward_path(op, sizes);
    if (path == ConvPath::rows) return conv_rows(op, sizes, step);
    if (path == ConvPath::channels) return conv_channels(op, sizes, step);
    auto args = forward_args<T>(op, sizes);
    char* scratch = step.scratch + packed_bytes(args);
    args.x = step.data(op.x);
    args.b = step.data(op.w);
    if (args.packed) {
        T* packed = reinterpret_cast<T*>(step.scratch);
        pack_kernels(step, args, args.b, packed);
        args.b = packed;
    }
    args.y = step.data(op.y);
    if (op.b.present() || op.activation != Activation::identity) {
        args.epilogue = Epilogue::bias_activate;
        args.bias = step.data(op.b);
        args.activation = op.activation;
        args.alpha = static_cast<T>(op.alpha);
    }
    correlate(step.kernels, step.team, args, step.threads, scratch);
}

// -------------------------------------------------------------------------- gradient by the input

// The correlation of dy that gives the cells of one phase. Without taps its depth is 0.
template <class T>
CorrelationArgs<T> phase_args(const ConvSizes& sizes, const PhaseAxis& h, const PhaseAxis& w) {
    const WindowSpace& space = sizes.space;
    CorrelationArgs<T> args{};
    args.h = h.correlation(space.h.out);
    args.w = w.correlation(space.w.out);
    args.images = sizes.images;
    args.groups = sizes.groups;
    args.in = sizes.out;
    args.out = sizes.in;
    args.packed = true;
    args.b_group = round_up(sizes.in, kWidestPanel) * args.depth();
    const std::ptrdiff_t channels = sizes.groups * sizes.in;
    args.y_pixel = space.w.stride * channels;
    args.y_row = space.h.stride * space.w.size * channels;
    args.y_image = space.h.size * space.w.size * channels;
    return args;
}

// Calls f(args, h, w, offset of the first cell in dx) for each phase that has cells.
template <class T, class F>
void for_each_phase(const ConvSizes& sizes, const F& f) {
    const WindowSpace& space = sizes.space;
    for (std::ptrdiff_t i = 0; i < std::min(space.h.stride, space.h.size); ++i) {
        for (std::ptrdiff_t j = 0; j < std::min(space.w.stride, space.w.size); ++j) {
            const PhaseAxis h = phase_axis(space.h, i);
            const PhaseAxis w = phase_axis(space.w, j);
            f(phase_args<T>(sizes, h, w), h, w, (i * space.w.size + j) * sizes.groups * sizes.in);
        }
    }
}

template <class T>
std::ptrdiff_t scratch_bytes(const ConvGradInput& op, const Extents& extents, int threads) {
    const ConvSizes sizes = sizes_of(op, extents);
    if (input_path(op, sizes) == ConvPath::rows) return rows_scratch<T>(sizes, threads);
    std::ptrdiff_t most = 0;
    for_each_phase<T>(sizes, [&](const CorrelationArgs<T>& args, const PhaseAxis&, const PhaseAxis&,
                                 std::ptrdiff_t) {
        if (args.depth() == 0) return;
        most = std::max(most, packed_bytes(args) + static_cast<std::ptrdiff_t>(
                                                       correlation_scratch_bytes(args, threads)));
    });
    return most;
}

// The kernels w [taps, in, groups * out] of one phase, transposed: rows (tap, out), columns in.
template <class T>
void pack_transposed(const Step<T>& step, const ConvGradInput& op, const ConvSizes& sizes,
                     const CorrelationArgs<T>& args, const PhaseAxis& h, const PhaseAxis& w,
                     T* packed) {
    const T* weight = step.data(op.w);
    const std::ptrdiff_t panel = step.kernels.gemm.panel;
    const std::ptrdiff_t panels = divide_up(sizes.in, panel);
    const std::ptrdiff_t row = sizes.groups * sizes.out;
    const WindowSpace& space = sizes.space;
    const auto pack = [&](std::ptrdiff_t group, std::ptrdiff_t j, std::ptrdiff_t tap) {
        std::ptrdiff_t u = h.last_tap - tap / w.taps * h.tap_step;
        std::ptrdiff_t v = w.last_tap - tap % w.taps * w.tap_step;
        if (op.flip) {
            u = space.h.kernel - 1 - u;
            v = space.w.kernel - 1 - v;
        }
        const T* from =
            weight + ((u * space.w.kernel + v) * sizes.in + j) * row + group * sizes.out;
        T* to = packed + group * args.b_group + j * args.depth() + tap * sizes.out * panel;
        step.kernels.gemm.pack_b(from, row, true, sizes.out, std::min(panel, sizes.in - j), to);
    };
    const std::ptrdiff_t taps = h.taps * w.taps;
    parallel_ranges(step.team, args.groups * panels * taps, kGrain / (sizes.out * panel),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            pack(i / taps / panels, i / taps % panels * panel, i % taps);
                        }
                    });
}

// Cells that no window reads.
template <class T>
void clear_cells(const Step<T>& step, const CorrelationArgs<T>& args) {
    parallel_ranges(step.team, args.images * args.h.out, kGrain / (args.w.out * args.out),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            T* row = args.y + i / args.h.out * args.y_image +
                                     i % args.h.out * args.y_row;
                            for (std::ptrdiff_t q = 0; q < args.w.out; ++q) {
                                std::fill_n(row + q * args.y_pixel, args.groups * args.out, T{0});
                            }
                        }
                    });
}

template <class T>
void run(const ConvGradInput& op, const Step<T>& step) {
    const ConvSizes sizes = sizes_of(op, step.extents);
    const ConvPath path = input_path(op, sizes);
    if (path == ConvPath::rows) return conv_rows(op, sizes, step);
    if (path == ConvPath::channels) return conv_channels(op, sizes, step);
    for_each_phase<T>(sizes, [&](CorrelationArgs<T> args, const PhaseAxis& h, const PhaseAxis& w,
                                 std::ptrdiff_t offset) {
        args.y = step.data(op.dx) + offset;
        if (args.depth() == 0) return clear_cells(step, args);
        args.x = step.data(op.dy);
        T* packed = reinterpret_cast<T*>(step.scratch);
        pack_transposed(step, op, sizes, args, h, w, packed);
        args.b = packed;
        if (op.x.present()) {
            args.epilogue = Epilogue::multiply_slope;
            args.saved = step.data(op.x) + offset;
            args.activation = op.activation;
            args.alpha = static_cast<T>(op.alpha);
        }
        correlate(step.kernels, step.team, args, step.threads, step.scratch + packed_bytes(args));
    });
}

// ------------------------------------------------------------------------- gradient by the weight

template <class T>
CorrelationWeightArgs<T> weight_args(const ConvGradWeight& op, const ConvSizes& sizes) {
    CorrelationWeightArgs<T> args{};
    args.h = sizes.space.h;
    args.w = sizes.space.w;
    args.images = sizes.images;
    args.groups = sizes.groups;
    args.in = sizes.in;
    args.out = sizes.out;
    args.flip = op.flip;
    args.accumulate = op.accumulate;
    return args;
}

template <class T>
std::ptrdiff_t weight_scratch(const ConvGradWeight& op, const ConvSizes& sizes, int threads) {
    const ConvPath path = weight_path(op, sizes);
    if (path == ConvPath::rows) return rows_scratch<T>(sizes, threads);
    if (path == ConvPath::channels) return channels_scratch<T>(sizes);
    return static_cast<std::ptrdiff_t>(
        correlation_weight_scratch_bytes(weight_args<T>(op, sizes), threads));
}

template <class T>
std::ptrdiff_t scratch_bytes(const ConvGradWeight& op, const Extents& extents, int threads) {
    const ConvSizes sizes = sizes_of(op, extents);
    return std::max(
        weight_scratch<T>(op, sizes, threads),
        channel_sums_scratch<T>(sizes.images * sizes.space.out_pixels(), sizes.groups * sizes.out));
}

template <class T>
void run(const ConvGradWeight& op, const Step<T>& step) {
    const ConvSizes sizes = sizes_of(op, step.extents);
    const ConvPath path = weight_path(op, sizes);
    if (path == ConvPath::rows) {
        conv_rows(op, sizes, step);
    } else if (path == ConvPath::channels) {
        conv_channels(op, sizes, step);
    } else {
        auto args = weight_args<T>(op, sizes);
        args.x = step.data(op.x);
        args.dy = step.data(op.dy);
        args.dw = step.data(op.dw);
        correlate_weight(step.kernels, step.team, args, step.threads, step.scratch);
    }
    if (op.db.present()) {
        channel_sums(step, static_cast<const T*>(step.data(op.dy)),
                     sizes.images * sizes.space.out_pixels(), sizes.groups * sizes.out,
                     step.data(op.db), op.accumulate, step.scratch);
    }
}

}  // namespace pybp
