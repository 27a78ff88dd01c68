// The rules of the sequence ops.
#pragma once

#include "checker.h"

namespace pybp {

inline void check(const Pack& op, const Checker& is) {
    is.has_packing(op.packing);
    is.has_axes("x", op.x, 2);
    const Shape x = is.shape(op.x);
    is.require(x.front() == kRows, "x", "expected (n, steps, ...), got " + text(x));
    Shape y(x.begin() + 1, x.end());
    y.front() = packed(op.packing);
    is.has("y", op.y, y);
}

inline void check(const Unpack& op, const Checker& is) {
    is.has_packing(op.packing);
    is.has_axes("x", op.x, 1);
    const Shape x = is.shape(op.x);
    is.require(x.front() == packed(op.packing), "x",
               "expected the steps of packing " + std::to_string(op.packing) + ", got " + text(x));
    is.require(op.steps >= 1, "steps", "expected at least 1, got " + std::to_string(op.steps));
    Shape y = x;
    y.front() = op.steps;
    y.insert(y.begin(), kRows);
    is.has("y", op.y, y);
}

inline void check(const Concat& op, const Checker& is) {
    is.has_axes("a", op.a, 2);
    is.has_axes("b", op.b, 2);
    const std::ptrdiff_t columns = is.shape(op.b).back();
    Shape b = is.shape(op.a);
    b.back() = columns;
    is.has("b", op.b, b);
    Shape y = is.shape(op.a);
    y.back() += columns;
    is.has("y", op.y, y);
}

inline void check(const Columns& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    Shape y = is.shape(op.x);
    is.require(op.start >= 0 && op.size >= 1 && op.start <= y.back() - op.size, "start",
               "expected columns of " + text(y) + ", got " + std::to_string(op.size) + " from " +
                   std::to_string(op.start) + " on");
    y.back() = op.size;
    is.has("y", op.y, y);
}

inline void check(const PadColumns& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    Shape y = is.shape(op.x);
    is.require(op.start >= 0 && op.start <= op.width - y.back(), "start",
               "expected room for " + text(y) + " from " + std::to_string(op.start) +
                   " on, got a width of " + std::to_string(op.width));
    y.back() = op.width;
    is.has("y", op.y, y);
}

}  // namespace pybp
