// Loops over time, and the ops that stand around them.
#pragma once

#include "base.h"

namespace pybp {

struct Loop {
    static constexpr const char* kKind = "loop";
    Reads taken;
    Writes made;
    std::int64_t packing = 0;
    std::int64_t count = 0;
    bool backward = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("taken", op.taken);
        visit("made", op.made);
        visit("packing", op.packing);
        visit("count", op.count);
        visit("backward", op.backward);
    }
};

struct ByRank {
    static constexpr const char* kKind = "by_rank";
    Read x;
    Write y;
    std::int64_t packing = 0;
    bool inverse = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("packing", op.packing);
        visit("inverse", op.inverse);
    }
};

struct LastStep {
    static constexpr const char* kKind = "last_step";
    Read x;
    Write y;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("packing", op.packing);
    }
};

struct LastStepGrad {
    static constexpr const char* kKind = "last_step_grad";
    Read dy;
    Write dx;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("dy", op.dy);
        visit("dx", op.dx);
        visit("packing", op.packing);
    }
};

struct ReverseSteps {
    static constexpr const char* kKind = "reverse_steps";
    Read x;
    Write y;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("packing", op.packing);
    }
};

struct Zeros {
    static constexpr const char* kKind = "zeros";
    Write y;
    Shape shape;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("y", op.y);
        visit("shape", op.shape);
    }
};

}  // namespace pybp
