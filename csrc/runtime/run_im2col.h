// im2col and col2im: as ops, and as one way to compute a convolution.
#pragma once

#include <algorithm>

#include "conv_sizes.h"
#include "im2col.h"
#include "run_dense.h"
#include "step.h"

namespace pybp {

// Calls f(image, row, column) for all pixels of some planes.
template <class F>
void for_each_pixel(Team& team, std::ptrdiff_t images, std::ptrdiff_t height, std::ptrdiff_t width,
                    std::ptrdiff_t work, const F& f) {
    const std::ptrdiff_t count = images * height * width;
    parallel_ranges(team, count, kGrain / work, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            const std::ptrdiff_t line = i / width;
            f(line / height, line % height, i % width);
        }
    });
}

// The windows of some images [*space, channels] as rows [images * out pixels, taps * channels].
template <class T>
void copy_windows(Team& team, const WindowSpace& space, std::ptrdiff_t channels, const T* x,
                  std::ptrdiff_t images, T* rows) {
    const std::ptrdiff_t columns = space.taps() * channels;
    for_each_pixel(team, images, space.h.out, space.w.out, columns,
                   [&](std::ptrdiff_t image, std::ptrdiff_t p, std::ptrdiff_t q) {
                       const std::ptrdiff_t row = (image * space.h.out + p) * space.w.out + q;
                       copy_window(space, channels, x + image * space.in_pixels() * channels, p, q,
                                   rows + row * columns);
                   });
}

// Its transpose: x is the sum of the copies of each cell.
template <class T>
void add_windows(Team& team, const WindowSpace& space, std::ptrdiff_t channels, const T* rows,
                 std::ptrdiff_t images, T* x) {
    const std::ptrdiff_t image_rows = space.out_pixels() * space.taps() * channels;
    for_each_pixel(team, images, space.h.size, space.w.size, space.taps() * channels,
                   [&](std::ptrdiff_t image, std::ptrdiff_t i, std::ptrdiff_t j) {
                       const std::ptrdiff_t cell = (image * space.h.size + i) * space.w.size + j;
                       add_copies(space, channels, rows + image * image_rows, i, j,
                                  x + cell * channels);
                   });
}

template <class T>
void run(const Im2Col& op, const Step<T>& step) {
    const Buffer& x = step.extents[op.x];
    const WindowSpace space = window_space(op, space_of(x.trailing), op.kernel);
    copy_windows(step.team, space, x.last, step.data(op.x), step.extents.rows, step.data(op.y));
}

template <class T>
void run(const Col2Im& op, const Step<T>& step) {
    const WindowSpace space = window_space(op, op.size, op.kernel);
    add_windows(step.team, space, step.extents.last(op.y), step.data(op.x), step.extents.rows,
                step.data(op.y));
}

// ------------------------------------------------------------- a convolution as a matrix product

// The images whose windows are copied at a time: few enough for the second-level caches.
template <class T>
std::ptrdiff_t images_at_once(const ConvSizes& sizes) {
    constexpr std::ptrdiff_t kBytes = 2 * 1024 * 1024;
    if (windows_in_place(sizes)) return sizes.images;
    const std::ptrdiff_t image =
        sizes.space.out_pixels() * sizes.depth() * static_cast<std::ptrdiff_t>(sizeof(T));
    return std::clamp(kBytes / image, std::ptrdiff_t{1}, sizes.images);
}

// Bytes of the copied windows, a multiple of 64.
template <class T>
std::ptrdiff_t window_bytes(const ConvSizes& sizes) {
    if (windows_in_place(sizes)) return 0;
    const std::ptrdiff_t numbers =
        images_at_once<T>(sizes) * sizes.space.out_pixels() * sizes.depth();
    return round_up(numbers * static_cast<std::ptrdiff_t>(sizeof(T)), 64);
}

// The largest scratch of the three products over the images that are there at once.
template <class T>
std::ptrdiff_t rows_scratch(const ConvSizes& sizes, int threads) {
    const std::ptrdiff_t pixels = images_at_once<T>(sizes) * sizes.space.out_pixels();
    const std::ptrdiff_t depth = sizes.depth();
    return window_bytes<T>(sizes) + std::max({dense_scratch<T>(pixels, sizes.out, depth, threads),
                                              dense_scratch<T>(pixels, depth, sizes.out, threads),
                                              dense_scratch<T>(depth, sizes.out, pixels, threads)});
}

// Calls f(first image, images, their windows' matrix) for the batch; the matrix lies in the scratch
// where the windows don't lie in place.
template <class T, class F>
void for_each_block(const ConvSizes& sizes, T* x, const Step<T>& step, const F& f) {
    T* copied = reinterpret_cast<T*>(step.scratch);
    const std::ptrdiff_t most = images_at_once<T>(sizes);
    const bool in_place = windows_in_place(sizes);
    const std::ptrdiff_t image = sizes.space.in_pixels() * sizes.in;
    for (std::ptrdiff_t i = 0; i < sizes.images; i += most) {
        f(i, std::min(most, sizes.images - i), in_place ? x + i * image : copied);
    }
}

// The same with the windows of x in the matrix.
template <class T, class F>
void for_each_windows(const ConvSizes& sizes, T* x, const Step<T>& step, const F& f) {
    const std::ptrdiff_t image = sizes.space.in_pixels() * sizes.in;
    for_each_block(sizes, x, step, [&](std::ptrdiff_t first, std::ptrdiff_t images, T* windows) {
        if (!windows_in_place(sizes)) {
            copy_windows(step.team, sizes.space, sizes.in, x + first * image, images, windows);
        }
        f(first, images, windows);
    });
}

template <class T>
void conv_rows(const Conv& op, const ConvSizes& sizes, const Step<T>& step) {
    const std::ptrdiff_t pixels = sizes.space.out_pixels();
    GemmArgs<T> args{};
    args.a_stride = args.k = sizes.depth();
    args.b = step.data(op.w);  // [depth, out]
    args.b_stride = args.c_stride = args.n = sizes.out;
    if (op.b.present() || op.activation != Activation::identity) {
        args.epilogue = Epilogue::bias_activate;
        args.bias = step.data(op.b);
        args.activation = op.activation;
        args.alpha = static_cast<T>(op.alpha);
    }
    T* x = step.data(op.x);
    for_each_windows(sizes, x, step, [&](std::ptrdiff_t first, std::ptrdiff_t images, T* windows) {
        args.a = windows;
        args.m = images * pixels;
        args.c = step.data(op.y) + first * pixels * sizes.out;
        gemm(step.kernels, step.team, args, step.threads, step.scratch + window_bytes<T>(sizes));
    });
}

// dx *= act'(x), where there is one.
template <class T>
void multiply_slope(const ConvGradInput& op, const Step<T>& step) {
    if (!op.x.present()) return;
    const T* saved = step.data(op.x);
    T* dx = step.data(op.dx);
    parallel_ranges(
        step.team, step.extents.size(op.dx), kGrain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.elementwise.activate_grad(op.activation, static_cast<T>(op.alpha), T{0},
                                                   saved + begin, dx + begin, dx + begin,
                                                   end - begin);
        });
}

// dx = the windows' gradient dy @ w.T, added up where they overlap.
template <class T>
void conv_rows(const ConvGradInput& op, const ConvSizes& sizes, const Step<T>& step) {
    const std::ptrdiff_t pixels = sizes.space.out_pixels();
    const std::ptrdiff_t cells = sizes.space.in_pixels() * sizes.in;
    GemmArgs<T> args{};
    args.a_stride = args.k = args.b_stride = sizes.out;
    args.b = step.data(op.w);  // [depth, out]
    args.transpose_b = true;
    args.c_stride = args.n = sizes.depth();
    T* dx = step.data(op.dx);
    for_each_block(sizes, dx, step, [&](std::ptrdiff_t first, std::ptrdiff_t images, T* windows) {
        args.a = step.data(op.dy) + first * pixels * sizes.out;
        args.m = images * pixels;
        args.c = windows;
        gemm(step.kernels, step.team, args, step.threads, step.scratch + window_bytes<T>(sizes));
        if (!windows_in_place(sizes)) {
            add_windows(step.team, sizes.space, sizes.in, windows, images, dx + first * cells);
        }
    });
    multiply_slope(op, step);
}

template <class T>
void conv_rows(const ConvGradWeight& op, const ConvSizes& sizes, const Step<T>& step) {
    const std::ptrdiff_t pixels = sizes.space.out_pixels();
    T* x = step.data(op.x);
    bool accumulate = op.accumulate;
    for_each_windows(sizes, x, step, [&](std::ptrdiff_t first, std::ptrdiff_t images, T* windows) {
        const T* dy = step.data(op.dy) + first * pixels * sizes.out;
        weight_gradient<T>(step, {windows, sizes.depth(), sizes.depth()},
                           {dy, sizes.out, sizes.out}, images * pixels, step.data(op.dw),
                           accumulate, step.scratch + window_bytes<T>(sizes));
        accumulate = true;
    });
}

}  // namespace pybp
