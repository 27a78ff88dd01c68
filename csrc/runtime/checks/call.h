// The rules of the ops that run in Python. What these return is checked after each call.
#pragma once

#include "losses.h"

namespace pybp {

// Values with a row for each sample or time step, as many as x has.
inline void check_rows_like(const char* field, const Reads& values, const Shape& x,
                            const Checker& is) {
    for (const int index : values.indices) {
        is.require(index != kAbsent, field, "expected a buffer, got none");
        const Shape found = is.shape(Operand{index});
        is.require(!found.empty() && found.front() == x.front(), field,
                   "expected the rows of x " + text(x) + ", got " + text(found));
        is.has_dtype(field, Operand{index}, DType::float32);
    }
}

inline void check_parameters(const Reads& params, const Checker& is) {
    for (const int index : params.indices) {
        is.require(index != kAbsent, "params", "expected a buffer, got none");
        const Shape found = is.shape(Operand{index});
        is.require(found.empty() || found.front() > kRows, "params",
                   "expected a fixed shape, got " + text(found));
        is.has_dtype("params", Operand{index}, DType::float32);
    }
}

inline void check_call_input(Operand x, const Checker& is) {
    is.has_axes("x", x, 1);
    is.require(is.shape(x).front() <= kRows, "x",
               "expected (n, ...) or (p, ...), got " + text(is.shape(x)));
}

// Gradients that are absent or have the shapes of what they belong to.
inline void check_gradients(const char* field, const Writes& gradients, const Reads& of,
                            const Checker& is) {
    is.require(gradients.indices.size() == of.indices.size(), field,
               "expected " + std::to_string(of.indices.size()) + " buffers, got " +
                   std::to_string(gradients.indices.size()));
    for (std::size_t i = 0; i < of.indices.size(); ++i) {
        is.has(field, Operand{gradients.indices[i]}, is.shape(Operand{of.indices[i]}));
    }
}

inline void check(const Call& op, const Checker& is) {
    check_call_input(op.x, is);
    Shape y = op.shape;
    y.insert(y.begin(), is.shape(op.x).front());
    is.has("y", op.y, y);
    check_rows_like("others", op.others, is.shape(op.x), is);
    check_parameters(op.params, is);
}

inline void check(const CallGrad& op, const Checker& is) {
    check_call_input(op.x, is);
    const Shape x = is.shape(op.x);
    is.has_axes("y", op.y, 1);
    is.require(is.shape(op.y).front() == x.front(), "y",
               "expected the rows of x " + text(x) + ", got " + text(is.shape(op.y)));
    is.has("dy", op.dy, is.shape(op.y));
    is.has("dx", op.dx, x);
    check_rows_like("others", op.others, x, is);
    check_parameters(op.params, is);
    check_gradients("dothers", op.dothers, op.others, is);
    check_gradients("dparams", op.dparams, op.params, is);
}

inline void check(const CallLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 1);
    const Shape prediction = is.shape(op.prediction);
    Shape target = op.target_shape;
    target.insert(target.begin(), prediction.front());
    const Shape found = is.shape(op.target);
    is.require(found == target, "target",
               "expected shape " + text(target) + ", got " + text(found));
    const auto count = static_cast<std::int64_t>(prediction.size());
    is.require(op.axes < count, "axes",
               "expected less than " + std::to_string(count) + ", got " + std::to_string(op.axes));
    is.require(op.axes >= 0 || !op.losses.present(), "axes", "expected a number with losses");
    Shape positions = prediction;
    if (op.axes >= 0) positions.resize(static_cast<std::size_t>(op.axes) + 1);
    check_loss(op, positions, is);
}

}  // namespace pybp
