// Ops that run in Python: layers and losses that users wrote.
#pragma once

#include "base.h"
#include "losses.h"

namespace pybp {

struct Call {
    static constexpr const char* kKind = "call";
    Read x;
    Reads others, params;
    Write y;
    std::int64_t function = 0;
    Shape shape;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("others", op.others);
        visit("params", op.params);
        visit("y", op.y);
        visit("function", op.function);
        visit("shape", op.shape);
    }
};

struct CallGrad {
    static constexpr const char* kKind = "call_grad";
    Read x, y, dy;
    Reads others, params;
    MaybeWrite dx;
    Writes dothers, dparams;
    std::int64_t function = 0;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("dy", op.dy);
        visit("others", op.others);
        visit("params", op.params);
        visit("dx", op.dx);
        visit("dothers", op.dothers);
        visit("dparams", op.dparams);
        visit("function", op.function);
        visit("accumulate", op.accumulate);
    }
};

struct CallLoss : Loss {
    static constexpr const char* kKind = "call_loss";
    std::int64_t function = 0;
    std::int64_t axes = -1;
    Shape target_shape;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        Loss::fields(op, visit);
        visit("function", op.function);
        visit("axes", op.axes);
        visit("target_shape", op.target_shape);
    }
};

// Whether an op runs in Python, by way of Host (host.h).
template <class Op>
inline constexpr bool kRunsInHost =
    std::is_same_v<Op, Call> || std::is_same_v<Op, CallGrad> || std::is_same_v<Op, CallLoss>;

}  // namespace pybp
