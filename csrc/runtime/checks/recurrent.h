// The rules of the recurrent ops.
#pragma once

#include "checker.h"

namespace pybp {

// The shapes that the arrays of a cell have, from w_hh.
struct CellShapes {
    std::ptrdiff_t packing;
    std::ptrdiff_t units;
    std::ptrdiff_t wide;
    Shape state;
    Shape each;
    Shape z;
    Shape gates;

    CellShapes(Cell cell, std::int64_t index, Operand w_hh, const Checker& is) {
        is.has_packing(index);
        is.has_axes("w_hh", w_hh, 2);
        packing = packed(index);
        units = is.shape(w_hh).front();
        wide = gate_count(cell) * units;
        is.has("w_hh", w_hh, {units, wide});
        state = {kRows, units};
        each = {packing, units};
        z = {packing, wide};
        gates = {packing, saved_count(cell) * units};
    }
};

inline void belongs_to_lstm(const char* field, Operand operand, Cell cell, const Checker& is) {
    is.require(!operand.present() || cell == Cell::lstm, field, "belongs to lstm alone");
}

inline void check(const Recurrent& op, const Checker& is) {
    const CellShapes at(op.cell, op.packing, op.w_hh, is);
    is.has_axes("x", op.x, 2);
    const std::ptrdiff_t in = is.shape(op.x).back();
    is.has("x", op.x, {at.packing, in});
    is.has("w_ih", op.w_ih, {in, at.wide});
    is.has("b_ih", op.b_ih, {at.wide});
    is.has("b_hh", op.b_hh, {at.wide});
    is.has("y", op.y, at.each);
    is.has("h0", op.h0, at.state);
    is.has("c0", op.c0, at.state);
    is.has("mask", op.mask, at.state);
    is.has("hn", op.hn, at.state);
    is.has("cn", op.cn, at.state);
    is.has("cells", op.cells, at.each);
    is.require(!op.gates.present() || saved_count(op.cell) > 0, "gates", "belongs to lstm and gru");
    is.has("gates", op.gates, at.gates);
    belongs_to_lstm("c0", op.c0, op.cell, is);
    belongs_to_lstm("cn", op.cn, op.cell, is);
    belongs_to_lstm("cells", op.cells, op.cell, is);
}

inline void check(const RecurrentGrad& op, const Checker& is) {
    const CellShapes at(op.cell, op.packing, op.w_hh, is);
    is.has("y", op.y, at.each);
    is.has("dz", op.dz, at.z);
    is.has("dy", op.dy, at.each);
    is.has("dhn", op.dhn, at.state);
    is.has("dcn", op.dcn, at.state);
    is.has("h0", op.h0, at.state);
    is.has("c0", op.c0, at.state);
    is.has("mask", op.mask, at.state);
    is.require(op.gates.present() == (saved_count(op.cell) > 0), "gates",
               "expected exactly for lstm and gru");
    is.has("gates", op.gates, at.gates);
    is.require(op.cells.present() == (op.cell == Cell::lstm), "cells", "expected exactly for lstm");
    is.has("cells", op.cells, at.each);
    is.require(op.dq.present() == (op.cell == Cell::gru), "dq", "expected exactly for gru");
    is.has("dq", op.dq, at.z);
    is.has("dh0", op.dh0, at.state);
    is.has("dc0", op.dc0, at.state);
    belongs_to_lstm("dcn", op.dcn, op.cell, is);
    belongs_to_lstm("c0", op.c0, op.cell, is);
    belongs_to_lstm("dc0", op.dc0, op.cell, is);
    is.require(op.dy.present() || op.dhn.present() || op.dcn.present(), "dy",
               "expected this one, dhn or dcn");
}

inline void check(const RecurrentGradWeight& op, const Checker& is) {
    is.has_packing(op.packing);
    is.has_axes("y", op.y, 2);
    is.has_axes("dq", op.dq, 2);
    const std::ptrdiff_t p = packed(op.packing);
    const std::ptrdiff_t units = is.shape(op.y).back();
    const std::ptrdiff_t wide = is.shape(op.dq).back();
    is.has("y", op.y, {p, units});
    is.has("dq", op.dq, {p, wide});
    is.has("dw", op.dw, {units, wide});
    is.has("db", op.db, {wide});
    is.has("h0", op.h0, {kRows, units});
    is.has("mask", op.mask, {kRows, units});
}

inline void check(const DropMask& op, const Checker& is) {
    is.has("y", op.y, {kRows, static_cast<std::ptrdiff_t>(op.size)});
    is.require(op.p >= 0 && op.p <= 1, "p", "expected 0 ... 1, got " + std::to_string(op.p));
    is.require(op.stream >= 0 && op.stream <= 0xffffffff, "stream",
               "expected 0 ... 2^32 - 1, got " + std::to_string(op.stream));
}

}  // namespace pybp
