// Pooling.
#pragma once

#include "conv.h"

namespace pybp {

struct Pool : Window {
    Shape kernel;
    bool ceil = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Window::fields(op, visit);
        visit("kernel", op.kernel);
        visit("ceil", op.ceil);
    }
};

struct MaxPool : Pool {
    static constexpr const char* kKind = "max_pool";
    Read x;
    Write y;
    MaybeWrite argmax;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Pool::fields(op, visit);
        visit("x", op.x);
        visit("y", op.y);
        visit("argmax", op.argmax);
    }
};

struct MaxPoolGrad : Pool {
    static constexpr const char* kKind = "max_pool_grad";
    Shape size;
    Read dy, argmax;
    Write dx;
    MaybeRead y;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Pool::fields(op, visit);
        visit("size", op.size);
        visit("dy", op.dy);
        visit("argmax", op.argmax);
        visit("dx", op.dx);
        visit("y", op.y);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct AveragePooling : Pool {
    std::int64_t divisor = 0;
    bool count_padding = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Pool::fields(op, visit);
        visit("divisor", op.divisor);
        visit("count_padding", op.count_padding);
    }
};

struct AvgPool : AveragePooling {
    static constexpr const char* kKind = "avg_pool";
    Read x;
    Write y;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        AveragePooling::fields(op, visit);
        visit("x", op.x);
        visit("y", op.y);
    }
};

struct AvgPoolGrad : AveragePooling {
    static constexpr const char* kKind = "avg_pool_grad";
    Shape size;
    Read dy;
    Write dx;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        AveragePooling::fields(op, visit);
        visit("size", op.size);
        visit("dy", op.dy);
        visit("dx", op.dx);
    }
};

}  // namespace pybp
