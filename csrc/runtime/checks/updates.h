// The rules of the steps of optimisers.
#pragma once

#include "dense.h"

namespace pybp {

// The shape of what an update changes: that of g, or count rows of which `rows` names some.
template <class Op>
Shape updated_shape(const Op& op, const Checker& is) {
    const Shape g = is.shape(op.g);
    is.has_dtype("g", op.g, DType::float32);
    if (!op.rows.present()) return g;
    is.has_axes("g", op.g, 2);
    is.has("rows", op.rows, without_last(g), DType::int32);
    is.require(op.count > 0, "count", "expected at least 1, got " + std::to_string(op.count));
    return {static_cast<std::ptrdiff_t>(op.count), g.back()};
}

inline void check(const SGD& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("v", op.v, shape);
}

inline void check(const SGDDense& op, const Checker& is) {
    check_dense_gradient(op.x, op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    is.has("w", op.w, {is.shape(op.x).back(), out});
    is.has("b", op.b, {out});
}

inline void check(const Adam& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("m", op.m, shape);
    is.has("v", op.v, shape);
    is.has("vmax", op.vmax, shape);
}

inline void check(const Nadam& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("m", op.m, shape);
    is.has("v", op.v, shape);
}

inline void check(const Radam& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("m", op.m, shape);
    is.has("v", op.v, shape);
}

inline void check(const Adamax& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("m", op.m, shape);
    is.has("u", op.u, shape);
}

inline void check(const Adagrad& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("sum", op.sum, shape);
}

inline void check(const RMSProp& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("v", op.v, shape);
    is.has("m", op.m, shape);
    is.has("velocity", op.velocity, shape);
}

inline void check(const Adadelta& op, const Checker& is) {
    const Shape shape = updated_shape(op, is);
    is.has("w", op.w, shape);
    is.has("v", op.v, shape);
    is.has("u", op.u, shape);
}

}  // namespace pybp
