// The rules of losses and metrics.
#pragma once

#include "checker.h"

namespace pybp {

// What all losses share. positions: the shape of the unreduced losses.
inline void check_loss(const Loss& op, const Shape& positions, const Checker& is) {
    const Shape prediction = is.shape(op.prediction);
    is.require(prediction.front() <= kRows, "prediction",
               "expected (n, ...) or (p, ...), got " + text(prediction));
    is.has("dy", op.dy, prediction);
    is.has("losses", op.losses, positions);
    is.leads("weight", op.weight, positions);
    is.require(op.result >= 0, "result", "expected a column, got " + std::to_string(op.result));
}

inline void check(const ElementwiseLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 1);
    is.has("target", op.target, is.shape(op.prediction));
    check_loss(op, is.shape(op.prediction), is);
}

inline void check(const BCEWithLogitsLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 1);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, prediction);
    if (op.column_weight.present() || op.positive_weight.present()) {
        is.has_axes("prediction", op.prediction, 2);
        is.has("column_weight", op.column_weight, {prediction.back()});
        is.has("positive_weight", op.positive_weight, {prediction.back()});
    }
    check_loss(op, prediction, is);
}

inline void check(const NormLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    is.has("target", op.target, is.shape(op.prediction));
    check_loss(op, without_last(is.shape(op.prediction)), is);
}

inline void check(const LabelLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, without_last(prediction), DType::int32);
    is.has("class_weight", op.class_weight, {prediction.back()});
    is.require(op.ignore_index >= INT32_MIN && op.ignore_index <= INT32_MAX, "ignore_index",
               "expected an int32, got " + std::to_string(op.ignore_index));
    check_loss(op, without_last(prediction), is);
}

inline void check(const DistributionLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, prediction);
    is.has("class_weight", op.class_weight, {prediction.back()});
    check_loss(op, without_last(prediction), is);
}

inline void check(const Accuracy& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, op.binary ? 1 : 2);
    const Shape prediction = is.shape(op.prediction);
    is.require(prediction.front() <= kRows, "prediction",
               "expected (n, ...) or (p, ...), got " + text(prediction));
    const Shape positions = op.binary ? prediction : without_last(prediction);
    if (!op.binary && is.shape(op.target) == positions) {
        is.has_dtype("target", op.target, DType::int32);
    } else {
        is.has("target", op.target, prediction);
    }
    is.leads("weight", op.weight, positions);
    is.require(op.result >= 0, "result", "expected a column, got " + std::to_string(op.result));
}

}  // namespace pybp
