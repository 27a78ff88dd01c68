// What acts on gradients and weights around an update: penalties and bounds.
#pragma once

#include "base.h"

namespace pybp {

struct Penalty {
    static constexpr const char* kKind = "penalty";
    Read w;
    Write g;
    double l1 = 0;
    double l2 = 0;
    MaybeRead rows;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("g", op.g);
        visit("l1", op.l1);
        visit("l2", op.l2);
        visit("rows", op.rows);
    }
};

struct ClipValue {
    static constexpr const char* kKind = "clip_value";
    Write g;
    double limit = 0;
    MaybeRead rows;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("g", op.g);
        visit("limit", op.limit);
        visit("rows", op.rows);
    }
};

struct ClipNorm {
    static constexpr const char* kKind = "clip_norm";
    Writes gradients;
    Reads rows;
    double limit = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("gradients", op.gradients);
        visit("rows", op.rows);
        visit("limit", op.limit);
    }
};

struct MaxNorm {
    static constexpr const char* kKind = "max_norm";
    Write w;
    double limit = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("w", op.w);
        visit("limit", op.limit);
    }
};

}  // namespace pybp
