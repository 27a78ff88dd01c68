// The embedding ops.
#pragma once

#include "base.h"

namespace pybp {

struct Embedding {
    static constexpr const char* kKind = "embedding";
    Read ids;
    Read w;
    Write y;
    std::int64_t padding = -1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("ids", op.ids);
        visit("w", op.w);
        visit("y", op.y);
        visit("padding", op.padding);
    }
};

struct EmbeddingGrad {
    static constexpr const char* kKind = "embedding_grad";
    Read ids;
    Read dy;
    Write rows;
    Write values;
    std::int64_t padding = -1;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("ids", op.ids);
        visit("dy", op.dy);
        visit("rows", op.rows);
        visit("values", op.values);
        visit("padding", op.padding);
    }
};

struct EmbeddingBag {
    static constexpr const char* kKind = "embedding_bag";
    Read ids;
    Read w;
    Write y;
    MaybeRead weights;
    MaybeWrite argmax;
    BagMode mode = BagMode::mean;
    std::int64_t padding = -1;
    bool unique = false;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("ids", op.ids);
        visit("w", op.w);
        visit("y", op.y);
        visit("weights", op.weights);
        visit("argmax", op.argmax);
        visit("mode", op.mode);
        visit("padding", op.padding);
        visit("unique", op.unique);
        visit("packing", op.packing);
    }
};

struct EmbeddingBagGrad {
    static constexpr const char* kKind = "embedding_bag_grad";
    Read ids;
    Read dy;
    Write rows;
    Write values;
    MaybeRead w;
    MaybeRead weights;
    MaybeRead argmax;
    MaybeWrite dweights;
    BagMode mode = BagMode::mean;
    std::int64_t padding = -1;
    bool unique = false;
    std::int64_t packing = 0;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("ids", op.ids);
        visit("dy", op.dy);
        visit("rows", op.rows);
        visit("values", op.values);
        visit("w", op.w);
        visit("weights", op.weights);
        visit("argmax", op.argmax);
        visit("dweights", op.dweights);
        visit("mode", op.mode);
        visit("padding", op.padding);
        visit("unique", op.unique);
        visit("packing", op.packing);
    }
};

struct ScatterRows {
    static constexpr const char* kKind = "scatter_rows";
    Read rows;
    Read values;
    Write dw;
    std::int64_t count = 0;
    bool accumulate = false;

    template <class Self, class Visit>
    static void fields(Self& op, Visit&& visit) {
        visit("rows", op.rows);
        visit("values", op.values);
        visit("dw", op.dw);
        visit("count", op.count);
        visit("accumulate", op.accumulate);
    }
};

}  // namespace pybp
