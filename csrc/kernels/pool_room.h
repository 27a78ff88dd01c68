// Where the last vector of a pixel with few channels may be whole all the same.
#pragma once

#include "../tables/pool.h"
#include "columns.h"
#include "simd.h"

namespace pybp {
namespace {

// Whether the last vector of a pixel may be whole although it has fewer channels: partial loads and
// stores are slow on some processors. What such a vector writes too much lies in pixels that are
// written later.
template <class T>
class Room {
  public:
    // For reading windows and writing [out, channels].
    explicit Room(const PoolRow& row) : Room(row, row.size, true) {}

    // For writing to the cells of windows: they are written in their order if a pixel is one vector
    // and the windows touch, and up to the last window's end.
    static Room for_cells(const PoolRow& row) {
        const std::ptrdiff_t end = row.out * row.stride - row.before;
        const bool touch = row.stride == row.kernel && (row.dilation == 1 || row.kernel == 1);
        return Room(row, end < row.size ? end : row.size, touch && row.channels < kLanes<T>);
    }
    static Room none(const PoolRow& row) { return Room(row, 0, false); }

    // For window q with these taps.
    PYBP_INLINE bool at(std::ptrdiff_t q, std::ptrdiff_t start, const Columns& columns) const {
        const std::ptrdiff_t last = start + (columns.end - 1) * row_.dilation;
        return q < windows_ && last < cells_;
    }

  private:
    Room(const PoolRow& row, std::ptrdiff_t cells, bool any) : row_(row) {
        // pixels that begin in what is too much
        const std::ptrdiff_t more = (row.channels + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
        const std::ptrdiff_t pixels = (more + row.channels - 1) / row.channels;
        windows_ = any ? row.out - pixels + 1 : 0;
        cells_ = cells - pixels + 1;
    }

    const PoolRow& row_;
    std::ptrdiff_t windows_;
    std::ptrdiff_t cells_;
};

// Calls f(offset, head) for each vector of a pixel.
template <class T, class F>
PYBP_INLINE void for_each_channel(std::ptrdiff_t channels, bool room, F f) {
    std::ptrdiff_t c = 0;
    for (; c + kLanes<T> <= channels; c += kLanes<T>) f(c, Whole<T>{});
    if (c == channels) return;
    if (room) {
        f(c, Whole<T>{});
    } else {
        f(c, Head<T>(channels - c));
    }
}

// The lanes that are loaded and stored from channel c on.
template <class T>
PYBP_INLINE std::ptrdiff_t lanes_of(Whole<T>, std::ptrdiff_t) {
    return kLanes<T>;
}
template <class T>
PYBP_INLINE std::ptrdiff_t lanes_of(Head<T>, std::ptrdiff_t left) {
    return left;
}

}  // namespace
}  // namespace pybp
