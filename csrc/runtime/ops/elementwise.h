// Ops that act element by element, along one axis, or not at all on the numbers.
#pragma once

#include "base.h"

namespace pybp {

struct Activate {
    static constexpr const char* kKind = "activate";
    Read x;
    Write y;
    Activation function = Activation::identity;
    double alpha = 0;
    double beta = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("function", op.function);
        visit("alpha", op.alpha);
        visit("beta", op.beta);
    }
};

struct ActivateGrad {
    static constexpr const char* kKind = "activate_grad";
    Read dy, saved;
    Write dx;
    Activation function = Activation::identity;
    double alpha = 0;
    double beta = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("saved", op.saved);
        visit("dx", op.dx);
        visit("function", op.function);
        visit("alpha", op.alpha);
        visit("beta", op.beta);
    }
};

struct Softmax {
    static constexpr const char* kKind = "softmax";
    Read x;
    Write y;
    std::int64_t axis = 1;
    bool log = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("axis", op.axis);
        visit("log", op.log);
    }
};

struct SoftmaxGrad {
    static constexpr const char* kKind = "softmax_grad";
    Read dy, y;
    Write dx;
    std::int64_t axis = 1;
    bool log = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("y", op.y);
        visit("dx", op.dx);
        visit("axis", op.axis);
        visit("log", op.log);
    }
};

struct Dropout {
    static constexpr const char* kKind = "dropout";
    Read x;
    Write y;
    double p = 0;
    std::int64_t stream = 0;
    bool per_channel = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("p", op.p);
        visit("stream", op.stream);
        visit("per_channel", op.per_channel);
    }
};

struct Reshape {
    static constexpr const char* kKind = "reshape";
    Read x;
    Write y;
    Shape shape;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("shape", op.shape);
    }
};

struct Add {
    static constexpr const char* kKind = "add";
    Read a, b;
    Write y;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("a", op.a);
        visit("b", op.b);
        visit("y", op.y);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct Multiply {
    static constexpr const char* kKind = "multiply";
    Read a, b;
    Write y;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("a", op.a);
        visit("b", op.b);
        visit("y", op.y);
    }
};

struct Bias {
    static constexpr const char* kKind = "bias";
    Read x, b;
    Write y;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("b", op.b);
        visit("y", op.y);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct BiasGrad {
    static constexpr const char* kKind = "bias_grad";
    Read dy;
    Write db;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("db", op.db);
        visit("accumulate", op.accumulate);
    }
};

struct MoveChannels {
    static constexpr const char* kKind = "move_channels";
    Read x;
    Write y;
    bool last = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("last", op.last);
    }
};

}  // namespace pybp
