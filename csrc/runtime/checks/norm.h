// The rules of normalisation.
#pragma once

#include "checker.h"

namespace pybp {

inline void check(const ChannelMoments& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    const Shape channels{is.shape(op.x).back()};
    is.has("mean", op.mean, channels);
    is.has("var", op.var, channels);
    is.has("running_mean", op.running_mean, channels);
    is.has("running_var", op.running_var, channels);
}

inline void check(const BatchNorm& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    const Shape x = is.shape(op.x);
    const Shape channels{x.back()};
    is.has("mean", op.mean, channels);
    is.has("var", op.var, channels);
    is.has("gamma", op.gamma, channels);
    is.has("beta", op.beta, channels);
    is.has("y", op.y, x);
}

inline void check(const BatchNormGrad& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    const Shape x = is.shape(op.x);
    const Shape channels{x.back()};
    is.has("dy", op.dy, x);
    is.has("y", op.y, x);
    is.has("mean", op.mean, channels);
    is.has("var", op.var, channels);
    is.has("gamma", op.gamma, channels);
    is.has("dx", op.dx, x);
    is.has("dgamma", op.dgamma, channels);
    is.has("dbeta", op.dbeta, channels);
    is.require(op.y.present() == (op.activation != Activation::identity), "y",
               "expected exactly when there is an activation");
}

// The leading and the normalised axes of x.
struct LayerAxes {
    Shape outer;
    Shape inner;
};

inline LayerAxes split_axes(Operand operand, std::int64_t axes, const Checker& is) {
    const Shape x = is.shape(operand);
    is.has("x", operand, x);
    is.require(axes >= 1 && axes < static_cast<std::int64_t>(x.size()), "axes",
               "expected 1 ... " + std::to_string(x.size() - 1) + ", got " + std::to_string(axes));
    return {Shape(x.begin(), x.end() - axes), Shape(x.end() - axes, x.end())};
}

inline void check(const LayerNorm& op, const Checker& is) {
    const LayerAxes axes = split_axes(op.x, op.axes, is);
    is.has("y", op.y, is.shape(op.x));
    is.has("mean", op.mean, axes.outer);
    is.has("rstd", op.rstd, axes.outer);
    is.has("gamma", op.gamma, axes.inner);
    is.has("beta", op.beta, axes.inner);
}

inline void check(const LayerNormGrad& op, const Checker& is) {
    const LayerAxes axes = split_axes(op.x, op.axes, is);
    const Shape x = is.shape(op.x);
    is.has("dy", op.dy, x);
    is.has("mean", op.mean, axes.outer);
    is.has("rstd", op.rstd, axes.outer);
    is.has("gamma", op.gamma, axes.inner);
    is.has("dx", op.dx, x);
    is.has("dgamma", op.dgamma, axes.inner);
    is.has("dbeta", op.dbeta, axes.inner);
}

}  // namespace pybp
