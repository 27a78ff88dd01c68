// The rules of the embedding ops.
#pragma once

#include "checker.h"

namespace pybp {

// What belongs to the ids of an op: one row of `size` numbers for each.
inline Shape rows_of_ids(Operand ids, std::ptrdiff_t size, const Checker& is) {
    is.has_dtype("ids", ids, DType::int32);
    Shape result = is.shape(ids);
    result.push_back(size);
    return result;
}

inline void check_table(Operand w, const Checker& is) {
    is.require(is.shape(w).size() == 2 && is.shape(w).front() > 0, "w",
               "expected shape (count, size), got " + text(is.shape(w)));
    is.has_dtype("w", w, DType::float32);
}

inline void check(const Embedding& op, const Checker& is) {
    check_table(op.w, is);
    is.has("y", op.y, rows_of_ids(op.ids, is.shape(op.w).back(), is));
}

inline void check(const EmbeddingGrad& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    const Shape dy = is.shape(op.dy);
    is.has("ids", op.ids, without_last(dy), DType::int32);
    is.has("rows", op.rows, without_last(dy), DType::int32);
    is.has("values", op.values, dy);
}

// What both bag ops share. size: the numbers of a row.
template <class Op>
void check_bags(const Op& op, Operand bags, std::ptrdiff_t size, const Checker& is) {
    is.has_packing(op.packing);
    const Shape p{packed(op.packing)};
    is.has("ids", op.ids, p, DType::int32);
    is.has("weights", op.weights, p);
    is.require(!op.weights.present() || op.mode == BagMode::sum, "weights",
               "expected the mode sum with them");
    is.has(op.kKind == EmbeddingBag::kKind ? "y" : "dy", bags, {kRows, size});
    is.has("argmax", op.argmax, {kRows, size}, DType::int32);
}

inline void check(const EmbeddingBag& op, const Checker& is) {
    check_table(op.w, is);
    check_bags(op, op.y, is.shape(op.w).back(), is);
    is.require(!op.argmax.present() || op.mode == BagMode::max, "argmax",
               "expected the mode max with it");
}

inline void check(const EmbeddingBagGrad& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    const std::ptrdiff_t size = is.shape(op.dy).back();
    check_bags(op, op.dy, size, is);
    is.require(op.argmax.present() == (op.mode == BagMode::max), "argmax",
               "expected exactly with the mode max");
    is.has("rows", op.rows, is.shape(op.ids), DType::int32);
    is.has("values", op.values, rows_of_ids(op.ids, size, is));
    is.has("dweights", op.dweights, is.shape(op.ids));
    if (!op.dweights.present()) return;
    is.require(op.w.present() && op.weights.present(), "dweights", "expected w and weights");
    check_table(op.w, is);
    is.require(is.shape(op.w).back() == size, "w",
               "expected " + std::to_string(size) + " columns, got " + text(is.shape(op.w)));
}

inline void check(const ScatterRows& op, const Checker& is) {
    is.has_axes("values", op.values, 2);
    const Shape values = is.shape(op.values);
    is.has("rows", op.rows, without_last(values), DType::int32);
    is.require(op.count > 0, "count", "expected at least 1, got " + std::to_string(op.count));
    is.has("dw", op.dw, {static_cast<std::ptrdiff_t>(op.count), values.back()});
}

}  // namespace pybp
