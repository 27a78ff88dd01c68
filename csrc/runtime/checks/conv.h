// The rules of convolutions and of their windows.
#pragma once

#include "../window.h"
#include "checker.h"

namespace pybp {

// The space of the windows, [*counts]; x is the shape of the larger side without rows and channels.
inline Shape check_window(const Window& op, const Shape& size, const Shape& kernel, bool ceil,
                          const Checker& is) {
    is.require(is_window(op, size, kernel), "stride",
               "expected stride, padding and dilation for the space " + text(size) +
                   " and the kernel " + text(kernel));
    const WindowSpace space = window_space(op, size, kernel, ceil);
    is.require(space.h.out >= 1 && space.w.out >= 1, "kernel",
               "expected a window within the padded input " + text(size) + ", got " + text(kernel));
    if (size.size() == 1) return {space.w.out};
    return {space.h.out, space.w.out};
}

// [n, *space, channels]
inline Shape sample_shape(const Shape& space, std::ptrdiff_t channels) {
    Shape shape{kRows};
    shape.insert(shape.end(), space.begin(), space.end());
    shape.push_back(channels);
    return shape;
}

// The space of a batch [n, *space, channels] of at least one axis of space.
inline Shape batch_space(const char* field, Operand operand, const Checker& is) {
    is.has_axes(field, operand, 3);
    const Shape shape = is.shape(operand);
    is.require(shape.front() == kRows, field, "expected (n, ...), got " + text(shape));
    return Shape(shape.begin() + 1, shape.end() - 1);
}

inline Shape kernel_of(const char* field, Operand w, const Checker& is) {
    is.has_axes(field, w, 3);
    const Shape shape = is.shape(w);
    return Shape(shape.begin(), shape.end() - 2);
}

inline void check_groups(const Convolution& op, const Shape& w, std::ptrdiff_t channels,
                         const Checker& is) {
    const bool divides = op.groups >= 1 && w.back() % op.groups == 0;
    is.require(divides && w[w.size() - 2] * op.groups == channels, "groups",
               "expected a divisor of the channels " + std::to_string(channels) + " of w " +
                   text(w) + ", got " + std::to_string(op.groups));
}

inline void check(const Conv& op, const Checker& is) {
    const Shape space = batch_space("x", op.x, is);
    const Shape kernel = kernel_of("w", op.w, is);
    const Shape w = is.shape(op.w);
    check_groups(op, w, is.shape(op.x).back(), is);
    is.has("b", op.b, {w.back()});
    is.has("y", op.y, sample_shape(check_window(op, space, kernel, false, is), w.back()));
}

inline void check(const ConvGradInput& op, const Checker& is) {
    batch_space("dy", op.dy, is);
    const Shape kernel = kernel_of("w", op.w, is);
    const Shape w = is.shape(op.w);
    const std::ptrdiff_t channels = w[w.size() - 2] * op.groups;
    check_groups(op, w, channels, is);
    is.has("dy", op.dy, sample_shape(check_window(op, op.size, kernel, false, is), w.back()));
    const Shape dx = sample_shape(op.size, channels);
    is.has("dx", op.dx, dx);
    is.has("x", op.x, dx);
    is.require(op.x.present() == (op.activation != Activation::identity), "x",
               "expected exactly when there is an activation");
}

inline void check(const ConvGradWeight& op, const Checker& is) {
    const Shape space = batch_space("x", op.x, is);
    batch_space("dy", op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    const std::ptrdiff_t in = is.shape(op.x).back();
    is.require(op.groups >= 1, "groups", "expected at least 1, got " + std::to_string(op.groups));
    Shape w = op.kernel;
    w.push_back(in / op.groups);
    w.push_back(out);
    check_groups(op, w, in, is);
    is.has("dy", op.dy, sample_shape(check_window(op, space, op.kernel, false, is), out));
    is.has("dw", op.dw, w);
    is.has("db", op.db, {out});
}

inline void check(const Im2Col& op, const Checker& is) {
    const Shape space = batch_space("x", op.x, is);
    const Shape windows = check_window(op, space, op.kernel, false, is);
    is.has("y", op.y, sample_shape(windows, product(op.kernel) * is.shape(op.x).back()));
}

inline void check(const Col2Im& op, const Checker& is) {
    batch_space("x", op.x, is);
    const Shape windows = check_window(op, op.size, op.kernel, false, is);
    const std::ptrdiff_t columns = is.shape(op.x).back();
    const std::ptrdiff_t taps = product(op.kernel);
    is.require(columns % taps == 0, "x",
               "expected a multiple of " + std::to_string(taps) + " columns, got " +
                   std::to_string(columns));
    is.has("x", op.x, sample_shape(windows, columns));
    is.has("y", op.y, sample_shape(op.size, columns / taps));
}

}  // namespace pybp
