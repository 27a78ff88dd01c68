// Maxima of windows of 2 x 2 cells that lie inside of the image: the pool of most nets, in loops
// that know their taps.
#pragma once

#include "pool_room.h"
#include "taps.h"

namespace pybp {
namespace {

template <bool kYes>
struct Flag {};

struct Squares {
    std::ptrdiff_t windows;
    std::ptrdiff_t channels;
    std::ptrdiff_t step;      // from one window to the next
    std::ptrdiff_t row_step;  // from one row of cells to the next
};

// The larger of two, or the first NaN; `first` if they are equal.
template <class T>
struct Largest {
    V<T> value;
    Integers<T> tap;

    PYBP_INLINE static Largest of(const Largest& first, const Largest& second) {
        const Integers<T> better = ~(second.value <= first.value) & (first.value == first.value);
        return {better ? second.value : first.value, better ? second.tap : first.tap};
    }
};

template <bool kTaps, class T, bool kRoom>
[[gnu::noinline]] void max_squares(Flag<kRoom>, Squares at, const T* x, T* y, std::uint8_t* taps) {
    const Integers<T> zero = {};
    for (std::ptrdiff_t q = 0; q < at.windows; ++q) {
        for_each_channel<T>(at.channels, kRoom, [&](std::ptrdiff_t c, auto head) {
            const T* cell = x + c;
            const Largest<T> upper = Largest<T>::of({load(cell, head), zero},
                                                    {load(cell + at.channels, head), zero + 1});
            cell += at.row_step;
            const Largest<T> lower = Largest<T>::of({load(cell, head), zero + 2},
                                                    {load(cell + at.channels, head), zero + 3});
            const Largest<T> best = Largest<T>::of(upper, lower);
            store(y + c, best.value, head);
            if constexpr (kTaps) store_taps(taps + c, best.tap, lanes_of(head, at.channels - c));
        });
        x += at.step;
        y += at.channels;
        if constexpr (kTaps) taps += at.channels;
    }
}

// Writes all four cells of each window; `gradient` is one of slope.h.
template <class T, class Gradient, bool kRoom>
[[gnu::noinline]] void spread_squares(Flag<kRoom>, Squares at, const T* dy, const T* y,
                                      const std::uint8_t* taps, T* dx, Gradient gradient) {
    const Integers<T> zero = {};
    for (std::ptrdiff_t q = 0; q < at.windows; ++q) {
        for_each_channel<T>(at.channels, kRoom, [&](std::ptrdiff_t c, auto head) {
            const V<T> g = gradient(dy, y, c, head);
            Integers<T> tap;
            load_taps(taps + c, tap, lanes_of(head, at.channels - c));
            T* cell = dx + c;
            store(cell, tap == zero ? g : V<T>{}, head);
            store(cell + at.channels, tap == zero + 1 ? g : V<T>{}, head);
            cell += at.row_step;
            store(cell, tap == zero + 2 ? g : V<T>{}, head);
            store(cell + at.channels, tap == zero + 3 ? g : V<T>{}, head);
        });
        dx += at.step;
        dy += at.channels;
        if (y) y += at.channels;
        taps += at.channels;
    }
}

// The windows [first, last) of a row that are such squares; none if the row's are no squares.
struct SquareRange {
    std::ptrdiff_t first = 0;
    std::ptrdiff_t last = 0;

    explicit SquareRange(const PoolRow& row) {
        if (row.rows != 2 || row.first != 0 || row.kernel != 2) return;
        if (row.dilation != 1 || row.size < 2) return;
        first = (row.before + row.stride - 1) / row.stride;
        last = (row.size - 2 + row.before) / row.stride + 1;
        if (last > row.out) last = row.out;
        if (first > last) first = last;
    }

    // How many of them have room for whole vectors.
    template <class T>
    PYBP_INLINE std::ptrdiff_t roomy(const PoolRow& row, const Room<T>& room) const {
        std::ptrdiff_t end = last;
        while (end > first && !room.at(end - 1, (end - 1) * row.stride - row.before, {0, 2})) --end;
        return end - first;
    }
};

// Calls f(squares, window, cell, room) for the windows of the range with room for whole vectors,
// and for the others; the offsets are those of the first.
template <class T, class F>
PYBP_INLINE void for_each_squares(const PoolRow& row, const SquareRange& range, const Room<T>& room,
                                  F f) {
    Squares at{range.roomy(row, room), row.channels, row.stride * row.channels, row.row_step};
    const auto call = [&](std::ptrdiff_t q, auto flag) {
        f(at, q * row.channels, (q * row.stride - row.before) * row.channels, flag);
    };
    const std::ptrdiff_t middle = range.first + at.windows;
    if (at.windows > 0) call(range.first, Flag<true>{});
    at.windows = range.last - middle;
    if (at.windows > 0) call(middle, Flag<false>{});
}

}  // namespace
}  // namespace pybp
