// The steps of optimisers.
#pragma once

#include "base.h"

namespace pybp {

struct SGD {
    static constexpr const char* kKind = "sgd";
    static constexpr const char* kHyper[] = {"lr", "sign", "weight_decay", "momentum", "gain"};
    Write w;
    Read g;
    MaybeWrite v;
    bool nesterov = false;
    MaybeRead rows;
    std::int64_t count = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("v", op.v);
        visit("nesterov", op.nesterov);
        visit("rows", op.rows);
        visit("count", op.count);
    }
};

struct SGDDense {
    static constexpr const char* kKind = "sgd_dense";
    static constexpr const auto& kHyper = SGD::kHyper;
    Read x, dy;
    Write w;
    MaybeWrite b;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("dy", op.dy);
        visit("w", op.w);
        visit("b", op.b);
    }
};

struct Adam {
    static constexpr const char* kKind = "adam";
    static constexpr const char* kHyper[] = {
        "lr",    "sign",  "weight_decay", "beta1",       "gain1",
        "beta2", "gain2", "eps",          "correction1", "sqrt_correction2"};
    Write w;
    Read g;
    Write m, v;
    MaybeWrite vmax;
    bool decoupled = false;
    MaybeRead rows;
    std::int64_t count = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("m", op.m);
        visit("v", op.v);
        visit("vmax", op.vmax);
        visit("decoupled", op.decoupled);
        visit("rows", op.rows);
        visit("count", op.count);
    }
};

}  // namespace pybp
