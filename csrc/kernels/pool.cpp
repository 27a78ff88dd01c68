// Pools of one ISA level: vectors run over the channels of a window.
#include "columns.h"
#include "pool_squares.h"
#include "slope.h"
#include "table.h"
#include "taps.h"

namespace pybp {
namespace {

// Calls f(q, start, columns) for the windows [q, end); `start` is the cell of their tap column 0.
template <class F>
PYBP_INLINE void for_windows(const PoolRow& row, std::ptrdiff_t q, std::ptrdiff_t end, F f) {
    const std::ptrdiff_t span = (row.kernel - 1) * row.dilation + 1;
    std::ptrdiff_t start = q * row.stride - row.before;
    for (; q < end; ++q, start += row.stride) {
        if (start >= 0 && start + span <= row.size) {
            f(q, start, Columns{0, row.kernel});
        } else {
            f(q, start, columns_in(start, row.dilation, row.kernel, 0, row.size));
        }
    }
}

template <class F>
PYBP_INLINE void for_each_window(const PoolRow& row, F f) {
    for_windows(row, 0, row.out, f);
}

// Calls f with the taps of a window as a type: a square of known size, or 0 for any.
template <int kSide>
struct Side {};
template <class F>
PYBP_INLINE void with_taps(const PoolRow& row, const Columns& columns, F f) {
    const bool whole = columns.begin == 0 && columns.end == row.kernel;
    if (whole && row.rows == 2 && row.kernel == 2) {
        f(Side<2>{});
    } else if (whole && row.rows == 3 && row.kernel == 3) {
        f(Side<3>{});
    } else {
        f(Side<0>{});
    }
}

// Calls f(row of the tap, offset of its cell, column of the tap) for the taps of a window in order.
template <int kSide, class F>
PYBP_INLINE void for_each_tap(Side<kSide>, const PoolRow& row, std::ptrdiff_t start,
                              const Columns& columns, F f) {
    const std::ptrdiff_t step = row.dilation * row.channels;
    const std::ptrdiff_t begin = start * row.channels;
    if constexpr (kSide != 0) {
#pragma GCC unroll 3
        for (int th = 0; th < kSide; ++th) {
#pragma GCC unroll 3
            for (int tw = 0; tw < kSide; ++tw) f(th, th * row.row_step + begin + tw * step, tw);
        }
    } else {
        for (std::ptrdiff_t th = 0; th < row.rows; ++th) {
            for (std::ptrdiff_t tw = columns.begin; tw < columns.end; ++tw) {
                f(th, th * row.row_step + begin + tw * step, tw);
            }
        }
    }
}

// ------------------------------------------------------------------------------------ maximum

template <class T>
PYBP_INLINE Integers<T> all_lanes(std::ptrdiff_t number) {
    if constexpr (sizeof(T) == 4) {
        return Integers<T>{} + static_cast<std::int32_t>(number);
    } else {
        return Integers<T>{} + static_cast<std::int64_t>(number);
    }
}

// The largest of a window for one vector of channels, and its tap. x at the channels of cell 0.
template <bool kTaps, int kSide, class T, class HeadType>
PYBP_INLINE V<T> largest(Side<kSide>, const PoolRow& row, const T* x, std::ptrdiff_t start,
                         const Columns& columns, HeadType head, Integers<T>& tap) {
    const std::ptrdiff_t first = start + columns.begin * row.dilation;
    V<T> best = load(x + first * row.channels, head);
    tap = all_lanes<T>(row.first * row.kernel + columns.begin);
    for_each_tap(Side<kSide>{}, row, start, columns,
                 [&](std::ptrdiff_t th, std::ptrdiff_t offset, std::ptrdiff_t tw) {
                     const V<T> value = load(x + offset, head);
                     // Larger, or the first NaN; a NaN stays.
                     const Integers<T> better = ~(value <= best) & (best == best);
                     best = better ? value : best;
                     if constexpr (kTaps) {
                         tap = better ? all_lanes<T>((row.first + th) * row.kernel + tw) : tap;
                     }
                 });
    return best;
}

template <bool kTaps, class T>
void max_windows(const PoolRow& row, const T* x, T* y, const PoolArgmax& argmax) {
    const Room<T> room(row);
    const auto any_window = [&](std::ptrdiff_t q, std::ptrdiff_t start, const Columns& columns) {
        const std::ptrdiff_t at = q * row.channels;
        const bool whole = room.at(q, start, columns);
        with_taps(row, columns, [&](auto side) {
            for_each_channel<T>(row.channels, whole, [&](std::ptrdiff_t c, auto head) {
                Integers<T> tap;
                store(y + at + c, largest<kTaps>(side, row, x + c, start, columns, head, tap),
                      head);
                if constexpr (kTaps) {
                    const std::ptrdiff_t count = lanes_of(head, row.channels - c);
                    if (argmax.bytes) {
                        store_taps(argmax.bytes + at + c, tap, count);
                    } else {
                        store_taps(argmax.words + at + c, tap, count);
                    }
                }
            });
        });
    };
    const SquareRange squares(row);
    for_windows(row, 0, squares.first, any_window);
    for_each_squares(row, squares, room,
                     [&](const Squares& at, std::ptrdiff_t window, std::ptrdiff_t cell, auto flag) {
                         max_squares<kTaps>(flag, at, x + cell, y + window,
                                            kTaps ? argmax.bytes + window : nullptr);
                     });
    for_windows(row, squares.last, row.out, any_window);
}

template <class T>
void max_row(const PoolRow& row, const T* x, T* y, const PoolArgmax& argmax) {
    if (argmax.bytes || argmax.words) {
        max_windows<true>(row, x, y, argmax);
    } else {
        max_windows<false>(row, x, y, argmax);
    }
}

// What the windows of a row share when their gradient is spread over the input.
template <class T>
struct Spread {
    const PoolRow& row;
    const T* dy;  // [out, channels]
    T* dx;        // the first tap row
};

// One cell of dx for one vector of channels: all there is to it, or one more part of it.
template <bool kAdd, class T, class HeadType>
PYBP_INLINE void put(T* cell, V<T> value, HeadType head) {
    store(cell, kAdd ? load(cell, head) + value : value, head);
}

template <bool kAdd, class Gradient, class T>
void spread_maxima(const Spread<T>& to, const T* y, const PoolArgmax& argmax, Gradient gradient) {
    const PoolRow& row = to.row;
    const Room<T> room = kAdd ? Room<T>::none(row) : Room<T>::for_cells(row);
    const auto any_window = [&](std::ptrdiff_t q, std::ptrdiff_t start, const Columns& columns) {
        const std::ptrdiff_t at = q * row.channels;
        const bool whole = room.at(q, start, columns);
        with_taps(row, columns, [&](auto side) {
            for_each_channel<T>(row.channels, whole, [&](std::ptrdiff_t c, auto head) {
                const V<T> g = gradient(to.dy, y, at + c, head);
                const std::ptrdiff_t count = lanes_of(head, row.channels - c);
                Integers<T> tap;
                if (argmax.bytes) {
                    load_taps(argmax.bytes + at + c, tap, count);
                } else {
                    load_taps(argmax.words + at + c, tap, count);
                }
                for_each_tap(side, row, start, columns,
                             [&](std::ptrdiff_t th, std::ptrdiff_t offset, std::ptrdiff_t tw) {
                                 const std::ptrdiff_t number = (row.first + th) * row.kernel + tw;
                                 const V<T> here = tap == all_lanes<T>(number) ? g : V<T>{};
                                 put<kAdd>(to.dx + offset + c, here, head);
                             });
            });
        });
    };
    const SquareRange squares(row);
    if (kAdd || squares.first == squares.last) return for_windows(row, 0, row.out, any_window);
    for_windows(row, 0, squares.first, any_window);
    for_each_squares(row, squares, room,
                     [&](const Squares& at, std::ptrdiff_t window, std::ptrdiff_t cell, auto flag) {
                         spread_squares(flag, at, to.dy + window, y ? y + window : nullptr,
                                        argmax.bytes + window, to.dx + cell, gradient);
                     });
    for_windows(row, squares.last, row.out, any_window);
}

template <class T>
void max_row_grad(const PoolRow& row, const PoolSlope<T>& slope, const T* dy,
                  const PoolArgmax& argmax, T* dx, bool overlap) {
    const Spread<T> to{row, dy, dx};
    with_slope(slope.y != nullptr, slope.function, slope.alpha, [&](auto gradient) {
        if (overlap) {
            spread_maxima<true>(to, slope.y, argmax, gradient);
        } else {
            spread_maxima<false>(to, slope.y, argmax, gradient);
        }
    });
}

// ------------------------------------------------------------------------------------ average

// 1 / the divisor of a window.
template <class T>
class Share {
  public:
    Share(const PoolRow& row, const PoolDivisor& divisor)
        : row_(row), divisor_(divisor), whole_(of(row.kernel)) {}

    PYBP_INLINE T operator()(std::ptrdiff_t start, const Columns& columns) const {
        if (columns.end - columns.begin == row_.kernel) return whole_;
        const Columns counted = columns_in(start, row_.dilation, row_.kernel, -divisor_.before,
                                           row_.size + divisor_.after);
        return of(counted.end - counted.begin);
    }

  private:
    T of(std::ptrdiff_t columns) const {
        return T{1} / static_cast<T>(divisor_.fixed ? divisor_.fixed : divisor_.rows * columns);
    }

    const PoolRow& row_;
    const PoolDivisor& divisor_;
    T whole_;
};

// The sums of a window for `kVectors` vectors of channels, the last one partial; side by side,
// since each addition waits for the one before.
template <int kVectors, class T, class HeadType>
PYBP_INLINE void sum_window(const PoolRow& row, const T* x, std::ptrdiff_t start,
                            const Columns& columns, HeadType last, V<T> (&total)[kVectors]) {
    const std::ptrdiff_t step = row.dilation * row.channels;
    for (std::ptrdiff_t th = 0; th < row.rows; ++th) {
        const T* cell = x + th * row.row_step + start * row.channels + columns.begin * step;
        V<T> sum[kVectors] = {};
        for (std::ptrdiff_t tw = columns.begin; tw < columns.end; ++tw, cell += step) {
#pragma GCC unroll 4
            for (int j = 0; j < kVectors - 1; ++j) sum[j] = sum[j] + load(cell + j * kLanes<T>);
            sum[kVectors - 1] = sum[kVectors - 1] + load(cell + (kVectors - 1) * kLanes<T>, last);
        }
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) total[j] = total[j] + sum[j];
    }
}

template <class T>
void average_row(const PoolRow& row, const PoolDivisor& divisor, const T* x, T* y) {
    constexpr int kVectors = 4;
    constexpr std::ptrdiff_t kWide = kVectors * kLanes<T>;
    const Share<T> share_of(row, divisor);
    const Room<T> room(row);
    for_each_window(row, [&](std::ptrdiff_t q, std::ptrdiff_t start, const Columns& columns) {
        const T share = share_of(start, columns);
        T* out = y + q * row.channels;
        std::ptrdiff_t c = 0;
        for (; c + kWide <= row.channels; c += kWide) {
            V<T> total[kVectors] = {};
            sum_window<kVectors>(row, x + c, start, columns, Whole<T>{}, total);
#pragma GCC unroll 4
            for (int j = 0; j < kVectors; ++j) store(out + c + j * kLanes<T>, total[j] * share);
        }
        for_each_channel<T>(row.channels - c, room.at(q, start, columns),
                            [&](std::ptrdiff_t i, auto head) {
                                V<T> total[1] = {};
                                sum_window<1>(row, x + c + i, start, columns, head, total);
                                store(out + c + i, total[0] * share, head);
                            });
    });
}

template <bool kAdd, class T>
void spread_averages(const Spread<T>& to, const PoolDivisor& divisor) {
    const PoolRow& row = to.row;
    const Share<T> share_of(row, divisor);
    const Room<T> room = kAdd ? Room<T>::none(row) : Room<T>::for_cells(row);
    for_each_window(row, [&](std::ptrdiff_t q, std::ptrdiff_t start, const Columns& columns) {
        const T share = share_of(start, columns);
        const T* dy = to.dy + q * row.channels;
        const bool whole = room.at(q, start, columns);
        with_taps(row, columns, [&](auto side) {
            for_each_channel<T>(row.channels, whole, [&](std::ptrdiff_t c, auto head) {
                const V<T> g = load(dy + c, head) * share;
                for_each_tap(side, row, start, columns,
                             [&](std::ptrdiff_t, std::ptrdiff_t offset, std::ptrdiff_t) {
                                 put<kAdd>(to.dx + offset + c, g, head);
                             });
            });
        });
    });
}

template <class T>
void average_row_grad(const PoolRow& row, const PoolDivisor& divisor, const T* dy, T* dx,
                      bool overlap) {
    const Spread<T> to{row, dy, dx};
    if (overlap) {
        spread_averages<true>(to, divisor);
    } else {
        spread_averages<false>(to, divisor);
    }
}

template <class T>
void fill(PoolKernels<T>& table) {
    table.max_row = max_row<T>;
    table.max_row_grad = max_row_grad<T>;
    table.average_row = average_row<T>;
    table.average_row_grad = average_row_grad<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(pool, PoolKernels)

}  // namespace pybp
