// Ops between packed sequences and whole samples, and on parts of rows.
#pragma once

#include "base.h"

namespace pybp {

struct Pack {
    static constexpr const char* kKind = "pack";
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

struct Unpack {
    static constexpr const char* kKind = "unpack";
    Read x;
    Write y;
    std::int64_t steps = 0;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("steps", op.steps);
        visit("packing", op.packing);
    }
};

struct Concat {
    static constexpr const char* kKind = "concat";
    Read a;
    Read b;
    Write y;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("a", op.a);
        visit("b", op.b);
        visit("y", op.y);
    }
};

struct Columns {
    static constexpr const char* kKind = "columns";
    Read x;
    Write y;
    std::int64_t start = 0;
    std::int64_t size = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("start", op.start);
        visit("size", op.size);
    }
};

struct PadColumns {
    static constexpr const char* kKind = "pad_columns";
    Read x;
    Write y;
    std::int64_t start = 0;
    std::int64_t width = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("y", op.y);
        visit("start", op.start);
        visit("width", op.width);
    }
};

}  // namespace pybp
