// The rules of what acts on gradients and weights around an update.
#pragma once

#include "updates.h"

namespace pybp {

// rows [...] says which rows of g [..., size] count; all numbers of g do without it.
inline void check_rows(const char* field, Operand g, Operand rows, const Checker& is) {
    if (!rows.present()) return;
    is.has_axes(field, g, 2);
    is.has("rows", rows, without_last(is.shape(g)), DType::int32);
}

inline void check_limit(double limit, const Checker& is) {
    is.require(limit > 0, "limit", "expected a number above 0, got " + std::to_string(limit));
}

inline void check(const Penalty& op, const Checker& is) {
    is.has_dtype("w", op.w, DType::float32);
    is.has_dtype("g", op.g, DType::float32);
    check_rows("g", op.g, op.rows, is);
    if (!op.rows.present()) {
        is.has("g", op.g, is.shape(op.w));
        return;
    }
    const Shape w = is.shape(op.w);
    is.require(w.size() == 2 && w[0] > 0 && w[1] == is.shape(op.g).back(), "w",
               "expected (count, " + std::to_string(is.shape(op.g).back()) + "), got " + text(w));
}

inline void check(const ClipValue& op, const Checker& is) {
    is.has_dtype("g", op.g, DType::float32);
    check_rows("g", op.g, op.rows, is);
    check_limit(op.limit, is);
}

inline void check(const ClipNorm& op, const Checker& is) {
    const std::size_t count = op.gradients.indices.size();
    is.require(count > 0 && count == op.rows.indices.size(), "rows",
               "expected one entry for each of " + std::to_string(count) +
                   " gradients, at least 1, got " + std::to_string(op.rows.indices.size()));
    for (std::size_t i = 0; i < count; ++i) {
        const Operand g = op.gradients.at(i);
        is.require(g.present(), "gradients", "entry " + std::to_string(i) + " is absent");
        is.has_dtype("gradients", g, DType::float32);
        check_rows("gradients", g, op.rows.at(i), is);
    }
    check_limit(op.limit, is);
}

inline void check(const MaxNorm& op, const Checker& is) {
    is.has_axes("w", op.w, 2);
    is.require(is.shape(op.w).front() > 0, "w", "expected a plain matrix, without rows of samples");
    check_limit(op.limit, is);
}

}  // namespace pybp
