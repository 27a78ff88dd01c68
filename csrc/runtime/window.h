// A window that slides over the space of a sample: one or two axes seen as two.
#pragma once

#include <algorithm>
#include <cstddef>

#include "ops.h"
#include "rounding.h"

namespace pybp {

// The range [begin, end).
struct Range {
    std::ptrdiff_t begin;
    std::ptrdiff_t end;

    bool empty() const { return begin >= end; }
};

// The i in [0, count) for which start + i * step lies in [0, size).
inline Range steps_inside(std::ptrdiff_t start, std::ptrdiff_t step, std::ptrdiff_t count,
                          std::ptrdiff_t size) {
    const std::ptrdiff_t first = start < 0 ? divide_up(-start, step) : 0;
    const std::ptrdiff_t last = start < size ? divide_up(size - start, step) : 0;
    return {first, std::min(last, count)};
}

// One axis: output p reads the cells p * stride - before + t * dilation, t in [0, kernel). Where
// `before` is negative the first cells are never read.
struct WindowAxis {
    std::ptrdiff_t size = 1;    // of the input
    std::ptrdiff_t out = 1;     // how many windows
    std::ptrdiff_t kernel = 1;  // taps
    std::ptrdiff_t stride = 1;
    std::ptrdiff_t before = 0;  // padding
    std::ptrdiff_t after = 0;
    std::ptrdiff_t dilation = 1;

    // From the first to the last tap.
    std::ptrdiff_t span() const { return (kernel - 1) * dilation + 1; }
    // The cells that `count` outputs read.
    std::ptrdiff_t reach(std::ptrdiff_t count) const { return (count - 1) * stride + span(); }
    // The cell under tap 0 of output p.
    std::ptrdiff_t start(std::ptrdiff_t p) const { return p * stride - before; }
    // The taps of output p that lie in the input; the others meet padding.
    Range taps_inside(std::ptrdiff_t p) const {
        return steps_inside(start(p), dilation, kernel, size);
    }
    // The outputs whose tap t lies in the input.
    Range outputs_inside(std::ptrdiff_t t) const {
        return steps_inside(t * dilation - before, stride, out, size);
    }
};

struct WindowSpace {
    WindowAxis h;  // the first of two axes; trivial if there is only one
    WindowAxis w;

    std::ptrdiff_t in_pixels() const { return h.size * w.size; }
    std::ptrdiff_t out_pixels() const { return h.out * w.out; }
    std::ptrdiff_t taps() const { return h.kernel * w.kernel; }
};

// A shape, or its first axes, where it lies.
class Axes {
  public:
    Axes(const Shape& shape) : Axes(shape, shape.size()) {}
    Axes(const Shape& shape, std::size_t count) : first_(shape.data()), count_(count) {}

    std::size_t size() const { return count_; }
    std::ptrdiff_t operator[](std::size_t axis) const { return first_[axis]; }

  private:
    const std::ptrdiff_t* first_;
    std::size_t count_;
};

// Whether the entries are one or two axes that agree; what makes the two functions below safe.
inline bool is_window(const Window& op, Axes size, Axes kernel) {
    const std::size_t axes = size.size();
    if (axes < 1 || axes > 2 || kernel.size() != axes || op.stride.size() != axes ||
        op.dilation.size() != axes || op.padding.size() != 2 * axes) {
        return false;
    }
    for (std::size_t i = 0; i < axes; ++i) {
        if (size[i] < 1 || kernel[i] < 1 || op.stride[i] < 1 || op.dilation[i] < 1) return false;
        if (op.padding[2 * i] < 0 || op.padding[2 * i + 1] < 0) return false;
    }
    return true;
}

// The number of windows along an axis, below 1 if none fits. With `ceil` a last one may reach past
// the end if it starts before the padding there (as pybp.program.ops.window has it).
inline std::ptrdiff_t window_count(const WindowAxis& axis, bool ceil) {
    const std::ptrdiff_t room = axis.size + axis.before + axis.after - axis.span();
    if (room < 0) return 0;
    std::ptrdiff_t count = room / axis.stride + 1;
    if (ceil && room % axis.stride != 0 && count * axis.stride < axis.size + axis.before) ++count;
    return count;
}

inline WindowAxis window_axis(const Window& op, Axes size, Axes kernel, std::size_t i, bool ceil) {
    WindowAxis axis{
        size[i],       0, kernel[i], op.stride[i], op.padding[2 * i], op.padding[2 * i + 1],
        op.dilation[i]};
    axis.out = window_count(axis, ceil);
    return axis;
}

// size: the space of the larger side, [*space]; kernel [*taps].
inline WindowSpace window_space(const Window& op, Axes size, Axes kernel, bool ceil = false) {
    WindowSpace space;
    const std::size_t axes = size.size();
    if (axes == 2) space.h = window_axis(op, size, kernel, 0, ceil);
    space.w = window_axis(op, size, kernel, axes - 1, ceil);
    return space;
}

// The space of a sample [*space, channels] without its channels.
inline Axes space_of(const Shape& sample) { return Axes(sample, sample.size() - 1); }

}  // namespace pybp
