// The rules of the ops that act element by element, along one axis, or not at all.
#pragma once

#include "checker.h"

namespace pybp {

inline void check(const Activate& op, const Checker& is) {
    is.has_dtype("x", op.x, DType::float32);
    is.has("y", op.y, is.shape(op.x));
}

inline void check(const ActivateGrad& op, const Checker& is) {
    is.has_dtype("dy", op.dy, DType::float32);
    is.has("saved", op.saved, is.shape(op.dy));
    is.has("dx", op.dx, is.shape(op.dy));
}

inline void check_axis(std::int64_t axis, std::size_t axes, const Checker& is) {
    is.require(axis >= 1 && axis < static_cast<std::int64_t>(axes), "axis",
               "expected 1 ... " + std::to_string(axes - 1) + ", got " + std::to_string(axis));
}

inline void check(const Softmax& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    is.has("y", op.y, is.shape(op.x));
    check_axis(op.axis, is.shape(op.x).size(), is);
}

inline void check(const SoftmaxGrad& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    is.has("y", op.y, is.shape(op.dy));
    is.has("dx", op.dx, is.shape(op.dy));
    check_axis(op.axis, is.shape(op.dy).size(), is);
}

inline void check(const Dropout& op, const Checker& is) {
    is.has_dtype("x", op.x, DType::float32);
    is.has("y", op.y, is.shape(op.x));
    is.require(op.p >= 0 && op.p <= 1, "p", "expected 0 ... 1, got " + std::to_string(op.p));
    is.require(op.stream >= 0 && op.stream <= 0xffffffff, "stream",
               "expected 0 ... 2^32 - 1, got " + std::to_string(op.stream));
}

inline void check(const Reshape& op, const Checker& is) {
    const Shape x = is.shape(op.x);
    is.require(!x.empty() && x.front() <= kRows, "x",
               "expected (n, ...) or (p, ...), got " + text(x));
    is.has_dtype("x", op.x, DType::float32);
    Shape y = op.shape;
    is.require(product(y) == product({x.begin() + 1, x.end()}), "shape",
               "expected as many elements as a row of " + text(x) + ", got " + text(y));
    y.insert(y.begin(), x.front());
    is.has("y", op.y, y);
}

inline void check(const Add& op, const Checker& is) {
    const Shape a = is.shape(op.a);
    is.has("a", op.a, a);
    is.has("b", op.b, a);
    is.has("y", op.y, a);
}

inline void check(const Multiply& op, const Checker& is) {
    const Shape a = is.shape(op.a);
    is.has("a", op.a, a);
    is.has("b", op.b, a);
    is.has("y", op.y, a);
}

inline void check(const Bias& op, const Checker& is) {
    is.has_axes("x", op.x, 1);
    const Shape x = is.shape(op.x);
    is.has("b", op.b, {x.back()});
    is.has("y", op.y, x);
}

inline void check(const BiasGrad& op, const Checker& is) {
    is.has_axes("dy", op.dy, 1);
    is.has("db", op.db, {is.shape(op.dy).back()});
}

inline void check(const MoveChannels& op, const Checker& is) {
    is.has_axes("x", op.x, 3);
    const Shape x = is.shape(op.x);
    is.require(x.front() == kRows, "x", "expected (n, ...), got " + text(x));
    Shape y = x;
    if (op.last) {
        std::rotate(y.begin() + 1, y.begin() + 2, y.end());
    } else {
        std::rotate(y.begin() + 1, y.end() - 1, y.end());
    }
    is.has("y", op.y, y);
}

}  // namespace pybp
