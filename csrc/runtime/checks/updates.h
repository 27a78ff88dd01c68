// The rules of the steps of optimisers.
#pragma once

#include "dense.h"

namespace pybp {

inline void check(const SGD& op, const Checker& is) {
    is.has_dtype("g", op.g, DType::float32);
    is.has("w", op.w, is.shape(op.g));
    is.has("v", op.v, is.shape(op.g));
}

inline void check(const SGDDense& op, const Checker& is) {
    check_dense_gradient(op.x, op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    is.has("w", op.w, {is.shape(op.x).back(), out});
    is.has("b", op.b, {out});
}

inline void check(const Adam& op, const Checker& is) {
    is.has_dtype("g", op.g, DType::float32);
    is.has("w", op.w, is.shape(op.g));
    is.has("m", op.m, is.shape(op.g));
    is.has("v", op.v, is.shape(op.g));
    is.has("vmax", op.vmax, is.shape(op.g));
}

}  // namespace pybp
