// Convolution, and the windows it shares with the pools.
#pragma once

#include "base.h"

namespace pybp {

struct Window {
    Shape stride, padding, dilation;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("stride", op.stride);
        visit("padding", op.padding);
        visit("dilation", op.dilation);
    }
};

struct Convolution : Window {
    std::int64_t groups = 1;
    bool flip = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Window::fields(op, visit);
        visit("groups", op.groups);
        visit("flip", op.flip);
    }
};

struct Conv : Convolution {
    static constexpr const char* kKind = "conv";
    Read x, w;
    Write y;
    MaybeRead b;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Convolution::fields(op, visit);
        visit("x", op.x);
        visit("w", op.w);
        visit("y", op.y);
        visit("b", op.b);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct ConvGradInput : Convolution {
    static constexpr const char* kKind = "conv_grad_input";
    Shape size;
    Read dy, w;
    Write dx;
    MaybeRead x;
    Activation activation = Activation::identity;
    double alpha = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Convolution::fields(op, visit);
        visit("size", op.size);
        visit("dy", op.dy);
        visit("w", op.w);
        visit("dx", op.dx);
        visit("x", op.x);
        visit("activation", op.activation);
        visit("alpha", op.alpha);
    }
};

struct ConvGradWeight : Convolution {
    static constexpr const char* kKind = "conv_grad_weight";
    Shape kernel;
    Read x, dy;
    Write dw;
    MaybeWrite db;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Convolution::fields(op, visit);
        visit("kernel", op.kernel);
        visit("x", op.x);
        visit("dy", op.dy);
        visit("dw", op.dw);
        visit("db", op.db);
        visit("accumulate", op.accumulate);
    }
};

struct Im2Col : Window {
    static constexpr const char* kKind = "im2col";
    Shape kernel;
    Read x;
    Write y;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Window::fields(op, visit);
        visit("kernel", op.kernel);
        visit("x", op.x);
        visit("y", op.y);
    }
};

struct Col2Im : Window {
    static constexpr const char* kKind = "col2im";
    Shape kernel, size;
    Read x;
    Write y;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Window::fields(op, visit);
        visit("kernel", op.kernel);
        visit("size", op.size);
        visit("x", op.x);
        visit("y", op.y);
    }
};

}  // namespace pybp
