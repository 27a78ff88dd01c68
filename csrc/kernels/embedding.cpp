// Sums and maxima of rows of a table, of one ISA level. Each number is one chain over the rows.
#include "simd.h"
#include "table.h"

namespace pybp {
namespace {

constexpr std::ptrdiff_t kAhead = 12;      // rows to ask the memory for before they are needed
constexpr std::ptrdiff_t kMostLines = 16;  // of a row; the processor fetches what follows by itself
constexpr std::ptrdiff_t kLineBytes = 64;

template <class T>
PYBP_INLINE void prefetch_row(const T* row, std::ptrdiff_t size) {
    const std::ptrdiff_t bytes = size * std::ptrdiff_t{sizeof(T)};
    const std::ptrdiff_t end = bytes < kMostLines * kLineBytes ? bytes : kMostLines * kLineBytes;
    const auto* first = reinterpret_cast<const char*>(row);
    for (std::ptrdiff_t at = 0; at < end; at += kLineBytes) __builtin_prefetch(first + at);
}

// Where a list is read from: column c on.
template <class T>
struct FromColumn {
    const RowList<T>& list;
    const T* factors;  // [count] or null
    std::ptrdiff_t c;

    PYBP_INLINE const T* row(std::ptrdiff_t k) const {
        return list.x + list.rows[k] * list.size + c;
    }
    // The pass over the first columns brings the rows into the cache for all.
    PYBP_INLINE void prefetch(std::ptrdiff_t k) const {
        if (c == 0 && k + kAhead < list.count) prefetch_row(row(k + kAhead), list.size);
    }
};

// kVectors vectors, the last of them with `head`.
template <int kVectors, class T, class HeadType>
PYBP_INLINE void sum_block(const FromColumn<T>& at, T divisor, T* y, HeadType head) {
    constexpr int kLast = kVectors - 1;
    V<T> sums[kVectors] = {};
    for (std::ptrdiff_t k = 0; k < at.list.count; ++k) {
        at.prefetch(k);
        const T* row = at.row(k);
        const T factor = at.factors ? at.factors[k] : T{1};
#pragma GCC unroll 8
        for (int i = 0; i < kLast; ++i) sums[i] = sums[i] + load(row + i * kLanes<T>) * factor;
        sums[kLast] = sums[kLast] + load(row + kLast * kLanes<T>, head) * factor;
    }
    if (divisor != T{1}) {
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) sums[i] = sums[i] / divisor;
    }
#pragma GCC unroll 8
    for (int i = 0; i < kLast; ++i) store(y + i * kLanes<T>, sums[i]);
    store(y + kLast * kLanes<T>, sums[kLast], head);
}

constexpr int kMostVectors = 8;

// The next `vectors` vectors of columns, of which the last has `lanes` lanes.
template <class T, int kVectors = kMostVectors>
PYBP_INLINE void sum_columns(const FromColumn<T>& at, std::ptrdiff_t vectors, std::ptrdiff_t lanes,
                             T divisor, T* y) {
    if constexpr (kVectors > 0) {
        if (vectors < kVectors) {
            sum_columns<T, kVectors - 1>(at, vectors, lanes, divisor, y);
        } else if (lanes < kLanes<T>) {
            sum_block<kVectors>(at, divisor, y, Head<T>(lanes));
        } else {
            sum_block<kVectors>(at, divisor, y, Whole<T>{});
        }
    }
}

template <class T>
void sum_rows(const RowList<T>& list, const T* factors, T divisor, T* y) {
    constexpr std::ptrdiff_t kStep = kMostVectors * kLanes<T>;
    for (std::ptrdiff_t c = 0; c < list.size; c += kStep) {
        const std::ptrdiff_t left = list.size - c < kStep ? list.size - c : kStep;
        const std::ptrdiff_t vectors = (left + kLanes<T> - 1) / kLanes<T>;
        const std::ptrdiff_t lanes = left - (vectors - 1) * kLanes<T>;
        sum_columns(FromColumn<T>{list, factors, c}, vectors, lanes, divisor, y + c);
    }
}

template <class T>
PYBP_INLINE Integers<T> all_lanes(std::int32_t number) {
    if constexpr (sizeof(T) == 4) {
        return Integers<T>{} + number;
    } else {
        return Integers<T>{} + std::int64_t{number};
    }
}

template <class T, class HeadType>
PYBP_INLINE void largest(const FromColumn<T>& at, const std::int32_t* places, T* y,
                         std::int32_t* argmax, HeadType head) {
    V<T> best = load(at.row(0), head);
    Integers<T> place = all_lanes<T>(places[0]);
    for (std::ptrdiff_t k = 1; k < at.list.count; ++k) {
        at.prefetch(k);
        const V<T> value = load(at.row(k), head);
        const Integers<T> better = ~(value <= best) & (best == best);  // a NaN stays
        best = better ? value : best;
        place = better ? all_lanes<T>(places[k]) : place;
    }
    store(y + at.c, best, head);
    if (!argmax) return;
    const std::ptrdiff_t left = at.list.size - at.c;
    for (std::ptrdiff_t i = 0; i < kLanes<T> && i < left; ++i) {
        argmax[at.c + i] = static_cast<std::int32_t>(place[i]);
    }
}

template <class T>
void max_rows(const RowList<T>& list, const std::int32_t* places, T* y, std::int32_t* argmax) {
    for_each_vector<T>(list.size, [&](std::ptrdiff_t c, auto head) {
        largest(FromColumn<T>{list, nullptr, c}, places, y, argmax, head);
    });
}

template <class T>
void add_won(const T* dy, const std::int32_t* argmax, std::int32_t place, T* y,
             std::ptrdiff_t size) {
    for (std::ptrdiff_t c = 0; c < size; ++c) y[c] += argmax[c] == place ? dy[c] : T{0};
}

template <class T>
T dot(const T* a, const T* b, std::ptrdiff_t size) {
    V<T> sums = {};
    for_each_vector<T>(size, [&](std::ptrdiff_t i, auto head) {
        sums = sums + load(a + i, head) * load(b + i, head);
    });
    return sum_lanes<T>(sums);
}

template <class T>
void fill(EmbeddingKernels<T>& table) {
    table.sum_rows = sum_rows<T>;
    table.max_rows = max_rows<T>;
    table.add_won = add_won<T>;
    table.dot = dot<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(embedding, EmbeddingKernels)

}  // namespace pybp
