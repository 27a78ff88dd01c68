// The pools: a kernel call for each row of windows.
#pragma once

#include <cstring>

#include "checks/pool.h"
#include "step.h"
#include "window.h"

namespace pybp {

// A batch of samples under windows.
struct PoolGeometry {
    WindowSpace space;
    std::ptrdiff_t channels;

    std::ptrdiff_t in_row() const { return space.w.size * channels; }
    std::ptrdiff_t in_sample() const { return space.in_pixels() * channels; }
    std::ptrdiff_t out_row() const { return space.w.out * channels; }
    std::ptrdiff_t window_rows(const Extents& extents) const { return extents.rows * space.h.out; }
    // Rows of windows that are worth a thread.
    std::ptrdiff_t grain() const { return kGrain / (in_row() * space.h.kernel); }
};

// size: the space of the larger side; entries behind its axes are not looked at.
inline PoolGeometry pool_geometry(const Pool& op, const Extents& extents, const Shape& size,
                                  Operand operand) {
    PoolGeometry at{{}, extents.last(operand)};
    const std::size_t axes = op.kernel.size();
    if (axes == 2) at.space.h = window_axis(op, size, op.kernel, 0, op.ceil);
    at.space.w = window_axis(op, size, op.kernel, axes - 1, op.ceil);
    return at;
}

// Row p of the windows of a sample.
inline PoolRow pool_row(const PoolGeometry& at, std::ptrdiff_t p) {
    const WindowAxis& h = at.space.h;
    const WindowAxis& w = at.space.w;
    const Range taps = h.taps_inside(p);
    PoolRow row{};
    row.channels = at.channels;
    row.rows = taps.end - taps.begin;
    row.row_step = h.dilation * at.in_row();
    row.first = taps.begin;
    row.out = w.out;
    row.kernel = w.kernel;
    row.stride = w.stride;
    row.before = w.before;
    row.dilation = w.dilation;
    row.size = w.size;
    return row;
}

// The row of the input where the first tap row of pool_row(at, p) lies.
inline std::ptrdiff_t first_cell(const PoolGeometry& at, std::ptrdiff_t p, const PoolRow& row) {
    const WindowAxis& h = at.space.h;
    return h.start(p) + row.first * h.dilation;
}

// The entries of argmax from this row of windows on; null for both if it is absent.
template <class T>
PoolArgmax argmax_at(const Pool& op, const Step<T>& step, Operand operand, std::ptrdiff_t offset) {
    PoolArgmax argmax{nullptr, nullptr};
    if (!operand.present()) return argmax;
    if (argmax_type(op) == DType::uint8) {
        argmax.bytes = step.bytes(operand) + offset;
    } else {
        argmax.words = step.words(operand) + offset;
    }
    return argmax;
}

template <class T>
void run(const MaxPool& op, const Step<T>& step) {
    const PoolGeometry at = pool_geometry(op, step.extents, step.extents[op.x].trailing, op.x);
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(step.team, at.window_rows(step.extents), at.grain(),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t r = begin; r < end; ++r) {
                            const std::ptrdiff_t p = r % at.space.h.out;
                            const PoolRow row = pool_row(at, p);
                            const T* sample = x + r / at.space.h.out * at.in_sample();
                            const std::ptrdiff_t out = r * at.out_row();
                            step.kernels.pool.max_row(row,
                                                      sample + first_cell(at, p, row) * at.in_row(),
                                                      y + out, argmax_at(op, step, op.argmax, out));
                        }
                    });
}

inline bool overlaps(const WindowAxis& axis) { return axis.out > 1 && axis.stride < axis.span(); }

// Whether each cell lies in exactly one window, for windows that don't overlap.
inline bool covers(const WindowAxis& axis) {
    const std::ptrdiff_t end = (axis.out - 1) * axis.stride - axis.before + axis.span();
    return axis.span() == axis.kernel && (axis.out == 1 || axis.stride == axis.kernel) &&
           end >= axis.size;
}

// The rows of the input, of `size`, that are cleared before row p of the windows is spread, if all
// rows are: up to its last one. The first such row and the end.
struct ClearedRows {
    std::ptrdiff_t begin;
    std::ptrdiff_t end;
};

inline ClearedRows rows_to_clear(const WindowAxis& h, std::ptrdiff_t p) {
    const auto reached = [&](std::ptrdiff_t window) {  // by the windows before this one
        if (window == 0) return std::ptrdiff_t{0};
        if (window == h.out) return h.size;
        return std::clamp((window - 1) * h.stride - h.before + h.span(), std::ptrdiff_t{0}, h.size);
    };
    return {reached(p), reached(p + 1)};
}

// Writes dx: clears it where that is needed and calls spread(row, r, cell, overlap) for each row of
// windows, where r counts those of the batch and `cell` is its first tap row in dx. Rows that
// overlap are the work of one thread, in their order.
template <class T, class F>
void spread_windows(const Step<T>& step, const PoolGeometry& at, T* dx, const F& spread) {
    const WindowAxis& h = at.space.h;
    const bool rows_overlap = overlaps(h);
    const bool overlap = rows_overlap || overlaps(at.space.w);
    const bool clear = overlap || !covers(h) || !covers(at.space.w);
    const auto spread_row = [&](std::ptrdiff_t r) {
        const std::ptrdiff_t p = r % h.out;
        const PoolRow row = pool_row(at, p);
        T* sample = dx + r / h.out * at.in_sample();
        if (clear) {
            const ClearedRows rows = rows_to_clear(h, p);
            const std::ptrdiff_t count = (rows.end - rows.begin) * at.in_row();
            std::memset(sample + rows.begin * at.in_row(), 0,
                        static_cast<std::size_t>(count) * sizeof(T));
        }
        spread(row, r, sample + first_cell(at, p, row) * at.in_row(), overlap);
    };
    const std::ptrdiff_t together = rows_overlap ? h.out : 1;
    parallel_ranges(step.team, at.window_rows(step.extents) / together, at.grain() / together,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t r = begin * together; r < end * together; ++r) {
                            spread_row(r);
                        }
                    });
}

template <class T>
void run(const MaxPoolGrad& op, const Step<T>& step) {
    const PoolGeometry at = pool_geometry(op, step.extents, op.size, op.dy);
    const T* dy = step.data(op.dy);
    const T* y = step.data(op.y);
    spread_windows(step, at, step.data(op.dx),
                   [&](const PoolRow& row, std::ptrdiff_t r, T* cell, bool overlap) {
                       const std::ptrdiff_t out = r * at.out_row();
                       const PoolSlope<T> slope{y ? y + out : nullptr, op.activation,
                                                static_cast<T>(op.alpha)};
                       step.kernels.pool.max_row_grad(row, slope, dy + out,
                                                      argmax_at(op, step, op.argmax, out), cell,
                                                      overlap);
                   });
}

// The divisor of row p of the windows.
inline PoolDivisor pool_divisor(const AveragePooling& op, const PoolGeometry& at, std::ptrdiff_t p,
                                const PoolRow& row) {
    PoolDivisor divisor{static_cast<std::ptrdiff_t>(op.divisor), row.rows, 0, 0};
    if (!op.count_padding) return divisor;
    const WindowAxis& h = at.space.h;
    const std::ptrdiff_t room = h.size + h.after - (p * h.stride - h.before);
    divisor.rows = std::min(h.kernel, (room + h.dilation - 1) / h.dilation);
    divisor.before = at.space.w.before;
    divisor.after = at.space.w.after;
    return divisor;
}

template <class T>
void run(const AvgPool& op, const Step<T>& step) {
    const PoolGeometry at = pool_geometry(op, step.extents, step.extents[op.x].trailing, op.x);
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(step.team, at.window_rows(step.extents), at.grain(),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t r = begin; r < end; ++r) {
                            const std::ptrdiff_t p = r % at.space.h.out;
                            const PoolRow row = pool_row(at, p);
                            const T* sample = x + r / at.space.h.out * at.in_sample();
                            step.kernels.pool.average_row(
                                row, pool_divisor(op, at, p, row),
                                sample + first_cell(at, p, row) * at.in_row(),
                                y + r * at.out_row());
                        }
                    });
}

template <class T>
void run(const AvgPoolGrad& op, const Step<T>& step) {
    const PoolGeometry at = pool_geometry(op, step.extents, op.size, op.dy);
    const T* dy = step.data(op.dy);
    spread_windows(step, at, step.data(op.dx),
                   [&](const PoolRow& row, std::ptrdiff_t r, T* cell, bool overlap) {
                       const PoolDivisor divisor = pool_divisor(op, at, r % at.space.h.out, row);
                       step.kernels.pool.average_row_grad(row, divisor, dy + r * at.out_row(), cell,
                                                          overlap);
                   });
}

}  // namespace pybp
