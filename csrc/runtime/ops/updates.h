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
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("v", op.v);
        visit("nesterov", op.nesterov);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct SGDDense {
    static constexpr const char* kKind = "sgd_dense";
    static constexpr const auto& kHyper = SGD::kHyper;
    Read x, dy;
    Write w;
    MaybeWrite b;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("dy", op.dy);
        visit("w", op.w);
        visit("b", op.b);
        visit("scale", op.scale);
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
    double scale = 1;

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
        visit("scale", op.scale);
    }
};

struct Nadam {
    static constexpr const char* kKind = "nadam";
    static constexpr const char* kHyper[] = {"lr",         "sign",      "weight_decay",    "beta1",
                                             "gain1",      "beta2",     "gain2",           "eps",
                                             "slope_part", "mean_part", "sqrt_correction2"};
    Write w;
    Read g;
    Write m, v;
    bool decoupled = false;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("m", op.m);
        visit("v", op.v);
        visit("decoupled", op.decoupled);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct Radam {
    static constexpr const char* kKind = "radam";
    static constexpr const char* kHyper[] = {"lr",          "sign",     "weight_decay", "beta1",
                                             "gain1",       "beta2",    "gain2",        "eps",
                                             "correction1", "rectifier"};
    Write w;
    Read g;
    Write m, v;
    bool decoupled = false;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("m", op.m);
        visit("v", op.v);
        visit("decoupled", op.decoupled);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct Adamax {
    static constexpr const char* kKind = "adamax";
    static constexpr const char* kHyper[] = {"lr",    "sign",  "weight_decay", "beta1",
                                             "gain1", "beta2", "eps",          "correction1"};
    Write w;
    Read g;
    Write m, u;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("m", op.m);
        visit("u", op.u);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct Adagrad {
    static constexpr const char* kKind = "adagrad";
    static constexpr const char* kHyper[] = {"lr", "sign", "weight_decay", "eps"};
    Write w;
    Read g;
    Write sum;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("sum", op.sum);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct RMSProp {
    static constexpr const char* kKind = "rms_prop";
    static constexpr const char* kHyper[] = {"lr",   "sign", "weight_decay", "alpha",
                                             "gain", "eps",  "momentum"};
    Write w;
    Read g;
    Write v;
    MaybeWrite m, velocity;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("v", op.v);
        visit("m", op.m);
        visit("velocity", op.velocity);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

struct Adadelta {
    static constexpr const char* kKind = "adadelta";
    static constexpr const char* kHyper[] = {"lr", "sign", "weight_decay", "rho", "gain", "eps"};
    Write w;
    Read g;
    Write v, u;
    MaybeRead rows;
    std::int64_t count = 0;
    double scale = 1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("v", op.v);
        visit("u", op.u);
        visit("rows", op.rows);
        visit("count", op.count);
        visit("scale", op.scale);
    }
};

}  // namespace pybp
