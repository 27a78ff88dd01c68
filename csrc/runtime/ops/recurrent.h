// The recurrent ops.
#pragma once

#include "base.h"

namespace pybp {

struct Recurrent {
    static constexpr const char* kKind = "recurrent";
    Read x;
    Read w_ih;
    Read w_hh;
    Write y;
    MaybeRead b_ih;
    MaybeRead b_hh;
    MaybeRead h0;
    MaybeRead c0;
    MaybeRead mask;
    MaybeWrite hn;
    MaybeWrite cn;
    MaybeWrite gates;
    MaybeWrite cells;
    Cell cell = Cell::lstm;
    std::int64_t packing = 0;
    bool reverse = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("x", op.x);
        visit("w_ih", op.w_ih);
        visit("w_hh", op.w_hh);
        visit("y", op.y);
        visit("b_ih", op.b_ih);
        visit("b_hh", op.b_hh);
        visit("h0", op.h0);
        visit("c0", op.c0);
        visit("mask", op.mask);
        visit("hn", op.hn);
        visit("cn", op.cn);
        visit("gates", op.gates);
        visit("cells", op.cells);
        visit("cell", op.cell);
        visit("packing", op.packing);
        visit("reverse", op.reverse);
    }
};

struct RecurrentGrad {
    static constexpr const char* kKind = "recurrent_grad";
    Read y;
    Read w_hh;
    Write dz;
    MaybeRead dy;
    MaybeRead dhn;
    MaybeRead dcn;
    MaybeRead h0;
    MaybeRead c0;
    MaybeRead mask;
    MaybeRead gates;
    MaybeRead cells;
    MaybeWrite dq;
    MaybeWrite dh0;
    MaybeWrite dc0;
    Cell cell = Cell::lstm;
    std::int64_t packing = 0;
    bool reverse = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("y", op.y);
        visit("w_hh", op.w_hh);
        visit("dz", op.dz);
        visit("dy", op.dy);
        visit("dhn", op.dhn);
        visit("dcn", op.dcn);
        visit("h0", op.h0);
        visit("c0", op.c0);
        visit("mask", op.mask);
        visit("gates", op.gates);
        visit("cells", op.cells);
        visit("dq", op.dq);
        visit("dh0", op.dh0);
        visit("dc0", op.dc0);
        visit("cell", op.cell);
        visit("packing", op.packing);
        visit("reverse", op.reverse);
    }
};

struct RecurrentGradWeight {
    static constexpr const char* kKind = "recurrent_grad_weight";
    Read y;
    Read dq;
    Write dw;
    MaybeWrite db;
    MaybeRead h0;
    MaybeRead mask;
    bool accumulate = false;
    std::int64_t packing = 0;
    bool reverse = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("y", op.y);
        visit("dq", op.dq);
        visit("dw", op.dw);
        visit("db", op.db);
        visit("h0", op.h0);
        visit("mask", op.mask);
        visit("accumulate", op.accumulate);
        visit("packing", op.packing);
        visit("reverse", op.reverse);
    }
};

struct DropMask {
    static constexpr const char* kKind = "drop_mask";
    Write y;
    std::int64_t size = 0;
    double p = 0;
    std::int64_t stream = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("y", op.y);
        visit("size", op.size);
        visit("p", op.p);
        visit("stream", op.stream);
    }
};

}  // namespace pybp
