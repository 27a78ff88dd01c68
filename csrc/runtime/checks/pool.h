// The rules of the pools.
#pragma once

#include "conv.h"

namespace pybp {

// Taps that a byte can tell apart; the argmax of larger windows is int32.
inline constexpr std::ptrdiff_t kSmallWindow = 256;

// Whether each window has a tap in the input: what the kernels rely on.
inline bool has_taps(const WindowAxis& axis) {
    for (std::ptrdiff_t p = 0; p < axis.out; ++p) {
        if (axis.taps_inside(p).empty()) return false;
    }
    return true;
}

inline Shape check_pool(const Pool& op, const Shape& size, const Checker& is) {
    const Shape windows = check_window(op, size, op.kernel, op.ceil, is);
    const WindowSpace space = window_space(op, size, op.kernel, op.ceil);
    is.require(has_taps(space.h) && has_taps(space.w), "padding",
               "expected windows with a cell of the input, got one that lies only in padding");
    return windows;
}

inline DType argmax_type(const Pool& op) {
    return product(op.kernel) <= kSmallWindow ? DType::uint8 : DType::int32;
}

inline void check(const MaxPool& op, const Checker& is) {
    const Shape space = batch_space("x", op.x, is);
    const Shape y = sample_shape(check_pool(op, space, is), is.shape(op.x).back());
    is.has("y", op.y, y);
    is.has("argmax", op.argmax, y, argmax_type(op));
}

inline void check(const MaxPoolGrad& op, const Checker& is) {
    batch_space("dy", op.dy, is);
    const std::ptrdiff_t channels = is.shape(op.dy).back();
    const Shape dy = sample_shape(check_pool(op, op.size, is), channels);
    is.has("dy", op.dy, dy);
    is.has("argmax", op.argmax, dy, argmax_type(op));
    is.has("y", op.y, dy);
    is.has("dx", op.dx, sample_shape(op.size, channels));
    is.require(op.y.present() == (op.activation != Activation::identity), "y",
               "expected exactly when there is an activation");
}

inline void check(const AvgPool& op, const Checker& is) {
    const Shape space = batch_space("x", op.x, is);
    is.has("y", op.y, sample_shape(check_pool(op, space, is), is.shape(op.x).back()));
    is.require(op.divisor >= 0, "divisor", "expected >= 0, got " + std::to_string(op.divisor));
}

inline void check(const AvgPoolGrad& op, const Checker& is) {
    batch_space("dy", op.dy, is);
    const std::ptrdiff_t channels = is.shape(op.dy).back();
    is.has("dy", op.dy, sample_shape(check_pool(op, op.size, is), channels));
    is.has("dx", op.dx, sample_shape(op.size, channels));
    is.require(op.divisor >= 0, "divisor", "expected >= 0, got " + std::to_string(op.divisor));
}

}  // namespace pybp
