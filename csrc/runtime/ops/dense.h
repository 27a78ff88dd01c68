// The dense ops.
#pragma once

#include "base.h"

namespace pybp {

struct Dense {
    static constexpr const char* kKind = "dense";
    Read x, w;
    Write y;
    MaybeRead b;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("w", op.w);
        visit("y", op.y);
        visit("b", op.b);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct DenseGradInput {
    static constexpr const char* kKind = "dense_grad_input";
    Read dy, w;
    Write dx;
    MaybeRead x;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("w", op.w);
        visit("dx", op.dx);
        visit("x", op.x);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct DenseGradWeight {
    static constexpr const char* kKind = "dense_grad_weight";
    Read x, dy;
    Write dw;
    MaybeWrite db;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("dy", op.dy);
        visit("dw", op.dw);
        visit("db", op.db);
        visit("accumulate", op.accumulate);
    }
};

}  // namespace pybp
