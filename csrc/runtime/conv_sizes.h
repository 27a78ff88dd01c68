// The sizes of a convolution, and the choice among the ways to compute it.
#pragma once

#include "program.h"
#include "step.h"
#include "window.h"

namespace pybp {

// The sizes of a convolution: x [images, *space, groups * in], y [images, *space', groups * out].
struct ConvSizes {
    WindowSpace space;
    std::ptrdiff_t images;
    std::ptrdiff_t groups;
    std::ptrdiff_t in;
    std::ptrdiff_t out;

    std::ptrdiff_t depth() const { return space.taps() * in; }
};

inline ConvSizes conv_sizes(const Convolution& op, Axes size, Axes kernel, std::ptrdiff_t images,
                            std::ptrdiff_t in, std::ptrdiff_t out) {
    return {window_space(op, size, kernel), images, op.groups, in / op.groups, out / op.groups};
}

inline ConvSizes sizes_of(const Conv& op, const Extents& extents) {
    const Buffer& x = extents[op.x];
    const Shape& w = extents[op.w].trailing;
    return conv_sizes(op, space_of(x.trailing), Axes(w, w.size() - 2), extents.rows, x.last,
                      w.back());
}

inline ConvSizes sizes_of(const ConvGradInput& op, const Extents& extents) {
    const Shape& w = extents[op.w].trailing;
    return conv_sizes(op, op.size, Axes(w, w.size() - 2), extents.rows, extents.last(op.dx),
                      w.back());
}

inline ConvSizes sizes_of(const ConvGradWeight& op, const Extents& extents) {
    const Buffer& x = extents[op.x];
    return conv_sizes(op, space_of(x.trailing), op.kernel, extents.rows, x.last,
                      extents.last(op.dy));
}

// The ways, each for the forward pass and for both gradients.
enum class ConvPath {
    rows,      // the windows are rows of a matrix, where they lie or copied: im2col and gemm()
    by_index,  // the same product without the copy: correlate()
    channels,  // depthwise: each channel for itself
};

// Whether the windows of x, in order, are x: one tap on each pixel, or all pixels in one window.
inline bool windows_in_place(const ConvSizes& sizes) {
    const WindowAxis& h = sizes.space.h;
    const WindowAxis& w = sizes.space.w;
    if (h.before + h.after + w.before + w.after > 0) return false;
    const bool pixels = h.kernel * w.kernel == 1 && h.stride == 1 && w.stride == 1;
    const bool image = h.kernel == h.size && w.kernel == w.size && h.dilation * w.dilation == 1;
    return pixels || image;
}

inline bool is_depthwise(const ConvSizes& sizes) { return sizes.in == 1 && sizes.out == 1; }

// The choice, by shape alone. docs/kernels.md has measurements of the ways; where exactly one
// passes the other (kNarrow, kGain, kFew) is reasoned, not measured.
inline ConvPath forward_path(const Convolution& op, const ConvSizes& sizes) {
    constexpr std::ptrdiff_t kNarrow = 4;  // shorter rows of outputs leave the tile half empty
    if (sizes.groups == 1) {
        const bool narrow = sizes.space.w.out < kNarrow && !op.flip;
        if (windows_in_place(sizes) && !op.flip) return ConvPath::rows;
        return narrow ? ConvPath::rows : ConvPath::by_index;
    }
    return is_depthwise(sizes) ? ConvPath::channels : ConvPath::by_index;
}

inline ConvPath input_path(const Convolution& op, const ConvSizes& sizes) {
    // By index every cell of x meets every tap; as rows, every window does.
    constexpr std::ptrdiff_t kGain = 3;
    if (sizes.groups == 1 && !op.flip) {
        const std::ptrdiff_t cells =
            sizes.space.in_pixels() / (sizes.space.h.stride * sizes.space.w.stride);
        const bool fewer = sizes.space.out_pixels() * kGain <= cells;
        return windows_in_place(sizes) || fewer ? ConvPath::rows : ConvPath::by_index;
    }
    return is_depthwise(sizes) ? ConvPath::channels : ConvPath::by_index;
}

inline ConvPath weight_path(const Convolution& op, const ConvSizes& sizes) {
    constexpr std::ptrdiff_t kFew = 32;  // pixels of an image, the length of a chain by index
    if (sizes.groups == 1 && !op.flip) {
        const bool few = sizes.space.out_pixels() < kFew;
        return windows_in_place(sizes) || few ? ConvPath::rows : ConvPath::by_index;
    }
    return is_depthwise(sizes) ? ConvPath::channels : ConvPath::by_index;
}

}  // namespace pybp
