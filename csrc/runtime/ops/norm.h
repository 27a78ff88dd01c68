// Normalisation.
#pragma once

#include "base.h"

namespace pybp {

struct ChannelMoments {
    static constexpr const char* kKind = "channel_moments";
    Read x;
    Write mean, var;
    MaybeWrite running_mean, running_var;
    double momentum = 0.1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("mean", op.mean);
        visit("var", op.var);
        visit("running_mean", op.running_mean);
        visit("running_var", op.running_var);
        visit("momentum", op.momentum);
    }
};

struct BatchNorm {
    static constexpr const char* kKind = "batch_norm";
    Read x, mean, var;
    Write y;
    MaybeRead gamma, beta;
    double eps = 1e-5;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("mean", op.mean);
        visit("var", op.var);
        visit("y", op.y);
        visit("gamma", op.gamma);
        visit("beta", op.beta);
        visit("eps", op.eps);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct BatchNormGrad {
    static constexpr const char* kKind = "batch_norm_grad";
    Read dy, x, mean, var;
    MaybeRead y, gamma;
    MaybeWrite dx, dgamma, dbeta;
    double eps = 1e-5;
    bool batch_statistics = true;
    bool accumulate = false;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("x", op.x);
        visit("mean", op.mean);
        visit("var", op.var);
        visit("y", op.y);
        visit("gamma", op.gamma);
        visit("dx", op.dx);
        visit("dgamma", op.dgamma);
        visit("dbeta", op.dbeta);
        visit("eps", op.eps);
        visit("batch_statistics", op.batch_statistics);
        visit("accumulate", op.accumulate);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct LayerNorm {
    static constexpr const char* kKind = "layer_norm";
    Read x;
    Write y, mean, rstd;
    MaybeRead gamma, beta;
    std::int64_t axes = 1;
    double eps = 1e-5;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("mean", op.mean);
        visit("rstd", op.rstd);
        visit("gamma", op.gamma);
        visit("beta", op.beta);
        visit("axes", op.axes);
        visit("eps", op.eps);
    }
};

struct LayerNormGrad {
    static constexpr const char* kKind = "layer_norm_grad";
    Read dy, x, mean, rstd;
    MaybeRead gamma;
    MaybeWrite dx, dgamma, dbeta;
    std::int64_t axes = 1;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("x", op.x);
        visit("mean", op.mean);
        visit("rstd", op.rstd);
        visit("gamma", op.gamma);
        visit("dx", op.dx);
        visit("dgamma", op.dgamma);
        visit("dbeta", op.dbeta);
        visit("axes", op.axes);
        visit("accumulate", op.accumulate);
    }
};

}  // namespace pybp
