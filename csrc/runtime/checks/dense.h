// The rules of the dense ops.
#pragma once

#include "checker.h"

namespace pybp {

inline void check(const Dense& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    is.has_axes("w", op.w, 2);
    const Shape x = is.shape(op.x);
    const std::ptrdiff_t out = is.shape(op.w).back();
    is.has("w", op.w, {x.back(), out});
    is.has("b", op.b, {out});
    Shape y = without_last(x);
    y.push_back(out);
    is.has("y", op.y, y);
}

inline void check(const DenseGradInput& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    is.has_axes("w", op.w, 2);
    const Shape dy = is.shape(op.dy);
    const std::ptrdiff_t in = is.shape(op.w).front();
    is.has("w", op.w, {in, dy.back()});
    Shape dx = without_last(dy);
    dx.push_back(in);
    is.has("dx", op.dx, dx);
    is.has("x", op.x, dx);
    is.require(op.x.present() == (op.activation != Activation::identity), "x",
               "expected exactly when there is an activation");
}

// x and dy have the same rows.
inline void check_dense_gradient(Read x, Read dy, const Checker& is) {
    is.has_axes("x", x, 2);
    is.has_axes("dy", dy, 2);
    Shape expected = without_last(is.shape(x));
    expected.push_back(is.shape(dy).back());
    is.has("dy", dy, expected);
}

inline void check(const DenseGradWeight& op, const Checker& is) {
    check_dense_gradient(op.x, op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    is.has("dw", op.dw, {is.shape(op.x).back(), out});
    is.has("db", op.db, {out});
}

}  // namespace pybp
