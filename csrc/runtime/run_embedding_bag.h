// Bags of rows of a table: their sum, mean or maximum, and the gradients.
//
// A bag is a sequence of a packing, so the ids of one bag lie apart: they are listed first. As in
// run_embedding.h the ids themselves are not looked at.
#pragma once

#include <cstring>

#include "run_embedding.h"
#include "step.h"
#include "touched_rows.h"

namespace pybp {

// The ids of one bag that were seen already: a table of twice their number of places or more.
class SeenIds {
  public:
    // table: room(count) entries.
    SeenIds(std::int32_t* table, std::ptrdiff_t count) : table_(table) {
        while ((std::ptrdiff_t{1} << bits_) < 2 * count) ++bits_;
        std::fill(table_, table_ + (std::ptrdiff_t{1} << bits_), kFree);
    }
    static std::ptrdiff_t room(std::ptrdiff_t count) { return 4 * count; }

    // Whether the id is new.
    bool add(std::int32_t id) {
        const std::uint32_t mask = (std::uint32_t{1} << bits_) - 1;
        std::uint32_t at = (static_cast<std::uint32_t>(id) * 2654435769u) >> (32 - bits_);
        while (table_[at] != kFree) {
            if (table_[at] == id) return false;
            at = (at + 1) & mask;
        }
        table_[at] = id;
        return true;
    }

  private:
    static constexpr std::int32_t kFree = -1;

    std::int32_t* table_;
    int bits_ = 1;
};

// Memory for the bags of a packing: up to p ids in n bags.
struct BagMemory {
    template <class Op>
    BagMemory(const Op& op, Scratch& memory, std::ptrdiff_t p, std::ptrdiff_t n)
        : starts(memory.take<std::ptrdiff_t>(n + 1)),
          places(memory.take<std::int32_t>(p)),
          seen(op.unique ? memory.take<std::int32_t>(SeenIds::room(p)) : nullptr) {}

    std::ptrdiff_t* starts;  // [n + 1]: where the ids of the bag of each rank are listed
    std::int32_t* places;    // [p]
    std::int32_t* seen;      // [room(p)], or null
};

// The bags of a step, by their rank in the packing.
template <class Op>
class Bags {
  public:
    Bags(const Op& op, const Packing& packing, const std::int32_t* ids, const BagMemory& memory)
        : op_(op), packing_(packing), ids_(ids), memory_(memory) {
        memory_.starts[0] = 0;
        for (std::ptrdiff_t rank = 0; rank < packing.samples; ++rank) {
            memory_.starts[rank + 1] = memory_.starts[rank] + length(rank);
        }
    }

    std::ptrdiff_t size() const { return packing_.samples; }
    std::ptrdiff_t sample(std::ptrdiff_t rank) const { return packing_.order[rank]; }
    std::ptrdiff_t start(std::ptrdiff_t rank) const { return memory_.starts[rank]; }
    std::int32_t* places(std::ptrdiff_t rank) const { return memory_.places + start(rank); }

    // Lists the places of the ids of a bag that count, in their order; returns how many.
    std::ptrdiff_t list(std::ptrdiff_t rank) const {
        const std::ptrdiff_t steps = length(rank);
        std::int32_t* places = this->places(rank);
        std::ptrdiff_t count = 0;
        for (std::ptrdiff_t t = 0; t < steps; ++t) {
            const std::ptrdiff_t place = packing_.offsets[t] + rank;
            places[count] = static_cast<std::int32_t>(place);
            count += ids_[place] != op_.padding;
        }
        return op_.unique ? without_repeats(rank, places, count) : count;
    }

  private:
    std::ptrdiff_t length(std::ptrdiff_t rank) const { return packing_.lengths[sample(rank)]; }

    std::ptrdiff_t without_repeats(std::ptrdiff_t rank, std::int32_t* places,
                                   std::ptrdiff_t count) const {
        if (count == 0) return 0;
        SeenIds seen(memory_.seen + SeenIds::room(start(rank)), count);
        std::ptrdiff_t kept = 0;
        for (std::ptrdiff_t k = 0; k < count; ++k) {
            places[kept] = places[k];
            kept += seen.add(ids_[places[k]]);
        }
        return kept;
    }

    const Op& op_;
    const Packing& packing_;
    const std::int32_t* ids_;  // [p]
    const BagMemory& memory_;
};

// f(begin, end) on ranges of ranks; each bag reads `size` numbers for each of its ids.
template <class T, class F>
void parallel_bags(const Step<T>& step, const Packing& packing, std::ptrdiff_t size, const F& f) {
    const std::ptrdiff_t ids = std::max(packing.count() / packing.samples, std::ptrdiff_t{1});
    parallel_ranges(step.team, packing.samples, kGrain / (ids * size), f);
}

// ------------------------------------------------------------------------------------- forward

template <class T>
struct BagRows {
    std::int32_t* rows;  // [p]: of the table
    T* factors;          // [p], or null without weights

    BagRows(const EmbeddingBag& op, Scratch& memory, std::ptrdiff_t p)
        : rows(memory.take<std::int32_t>(p)),
          factors(op.weights.present() ? memory.take<T>(p) : nullptr) {}
};

template <class T>
std::ptrdiff_t scratch_bytes(const EmbeddingBag& op, const Extents& extents, int) {
    Scratch memory;
    const std::ptrdiff_t p = extents.count(op.ids);
    BagMemory(op, memory, p, extents.rows);
    BagRows<T>(op, memory, p);
    return memory.used();
}

template <class T>
void run(const EmbeddingBag& op, const Step<T>& step) {
    const std::ptrdiff_t size = step.extents.last(op.w);
    const Packing& packing = step.packing(op.packing);
    const std::int32_t* ids = step.words(op.ids);
    const T* w = step.data(op.w);              // [count, size]
    const T* weights = step.data(op.weights);  // [p] or null
    T* y = step.data(op.y);                    // [n, size]
    std::int32_t* argmax = step.words(op.argmax);
    Scratch memory(step.scratch);
    const BagMemory lists(op, memory, packing.count(), packing.samples);
    const BagRows<T> all(op, memory, packing.count());
    const Bags bags(op, packing, ids, lists);
    parallel_bags(step, packing, size, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t rank = begin; rank < end; ++rank) {
            const std::ptrdiff_t count = bags.list(rank);
            const std::int32_t* places = bags.places(rank);
            std::int32_t* rows = all.rows + bags.start(rank);
            T* factors = weights ? all.factors + bags.start(rank) : nullptr;
            for (std::ptrdiff_t k = 0; k < count; ++k) {
                rows[k] = ids[places[k]];
                if (factors) factors[k] = weights[places[k]];
            }
            const RowList<T> list{w, size, rows, count};
            T* out = y + bags.sample(rank) * size;
            std::int32_t* won = argmax ? argmax + bags.sample(rank) * size : nullptr;
            if (op.mode == BagMode::max && count > 0) {
                step.kernels.embedding.max_rows(list, places, out, won);
            } else {
                const bool mean = op.mode == BagMode::mean && count > 0;
                step.kernels.embedding.sum_rows(list, factors, mean ? static_cast<T>(count) : T{1},
                                                out);
                if (won) std::fill(won, won + size, std::int32_t{-1});
            }
        }
    });
}

// ------------------------------------------------------------------------------------ backward

// Of each place in ids: its bag, -1 where it does not count, and what dy is multiplied by.
template <class T>
struct PlaceShares {
    std::int32_t* bags;  // [p]
    T* factors;          // [p]
    std::int32_t* rows;  // [p]: of dy, in the order of the groups
    T* ordered;          // [p]: the factors, in the order of the groups

    PlaceShares(Scratch& memory, std::ptrdiff_t p)
        : bags(memory.take<std::int32_t>(p)),
          factors(memory.take<T>(p)),
          rows(memory.take<std::int32_t>(p)),
          ordered(memory.take<T>(p)) {}
};

template <class T>
std::ptrdiff_t scratch_bytes(const EmbeddingBagGrad& op, const Extents& extents, int) {
    Scratch memory;
    const std::ptrdiff_t p = extents.count(op.ids);
    BagMemory(op, memory, p, extents.rows);
    PlaceShares<T>(memory, p);
    GroupedIds(memory, p);
    return memory.used();
}

template <class T>
void share_out(const EmbeddingBagGrad& op, const Step<T>& step, const Bags<EmbeddingBagGrad>& bags,
               const PlaceShares<T>& shares) {
    const Packing& packing = step.packing(op.packing);
    const T* weights = step.data(op.weights);  // [p] or null
    std::fill(shares.bags, shares.bags + packing.count(), std::int32_t{-1});
    parallel_bags(step, packing, 1, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t rank = begin; rank < end; ++rank) {
            const std::ptrdiff_t count = bags.list(rank);
            const std::int32_t* places = bags.places(rank);
            const T share = op.mode == BagMode::mean ? T{1} / static_cast<T>(count) : T{1};
            for (std::ptrdiff_t k = 0; k < count; ++k) {
                shares.bags[places[k]] = static_cast<std::int32_t>(bags.sample(rank));
                shares.factors[places[k]] = weights ? weights[places[k]] : share;
            }
        }
    });
}

// values[group] for the sum and the mean.
template <class T>
void add_shares(const Step<T>& step, const GroupedIds& groups, std::ptrdiff_t group,
                const PlaceShares<T>& shares, const T* dy, std::ptrdiff_t size, T* values) {
    const std::int32_t* places = groups.places(group);
    const std::ptrdiff_t count = groups.count(group);
    std::int32_t* rows = shares.rows + groups.start(group);
    T* factors = shares.ordered + groups.start(group);
    for (std::ptrdiff_t k = 0; k < count; ++k) {
        rows[k] = shares.bags[places[k]];
        factors[k] = shares.factors[places[k]];
    }
    step.kernels.embedding.sum_rows({dy, size, rows, count}, factors, T{1}, values);
}

template <class T>
void run(const EmbeddingBagGrad& op, const Step<T>& step) {
    const Packing& packing = step.packing(op.packing);
    const std::ptrdiff_t p = packing.count();
    const std::ptrdiff_t size = step.extents.last(op.dy);
    const std::int32_t* ids = step.words(op.ids);
    const T* dy = step.data(op.dy);                      // [n, size]
    const std::int32_t* argmax = step.words(op.argmax);  // [n, size] or null
    T* values = step.data(op.values);                    // [p, size]
    Scratch memory(step.scratch);
    const BagMemory lists(op, memory, p, packing.samples);
    const PlaceShares<T> shares(memory, p);
    GroupedIds groups(memory, p);
    share_out(op, step, Bags(op, packing, ids, lists), shares);
    groups.group(
        ids, p, [&](std::ptrdiff_t i) { return shares.bags[i] >= 0; }, step.words(op.rows));
    parallel_groups(step, groups, size, [&](std::ptrdiff_t g) {
        T* to = values + g * size;
        if (op.mode != BagMode::max) return add_shares(step, groups, g, shares, dy, size, to);
        std::fill(to, to + size, T{0});
        for (std::ptrdiff_t k = 0; k < groups.count(g); ++k) {
            const std::int32_t place = groups.places(g)[k];
            const std::ptrdiff_t bag = shares.bags[place] * size;
            step.kernels.embedding.add_won(dy + bag, argmax + bag, place, to, size);
        }
    });
    T* dweights = step.data(op.dweights);  // [p] or null
    const T* w = step.data(op.w);          // [count, size], where there are dweights
    if (!dweights) return;
    parallel_ranges(step.team, p, row_grain(size), [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            const std::int32_t bag = shares.bags[i];
            dweights[i] =
                bag < 0 ? T{0}
                        : step.kernels.embedding.dot(dy + bag * size, w + ids[i] * size, size);
        }
    });
}

}  // namespace pybp
