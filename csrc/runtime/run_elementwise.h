// The ops that treat elements or rows one by one.
#pragma once

#include <cstring>

#include "channels.h"

namespace pybp {

template <class T>
void run(const Activate& op, const Step<T>& step) {
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    const T alpha = static_cast<T>(op.alpha);
    const T beta = static_cast<T>(op.beta);
    parallel_ranges(step.team, step.extents.size(op.x), kGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.elementwise.activate(op.function, alpha, beta, x + begin,
                                                          y + begin, end - begin);
                    });
}

template <class T>
void run(const ActivateGrad& op, const Step<T>& step) {
    const T* saved = step.data(op.saved);
    const T* dy = step.data(op.dy);
    T* dx = step.data(op.dx);
    const T alpha = static_cast<T>(op.alpha);
    const T beta = static_cast<T>(op.beta);
    parallel_ranges(
        step.team, step.extents.size(op.dy), kGrain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.elementwise.activate_grad(op.function, alpha, beta, saved + begin,
                                                   dy + begin, dx + begin, end - begin);
        });
}

// A tensor seen from one axis: [outer, size, inner].
struct AxisView {
    std::ptrdiff_t outer;
    std::ptrdiff_t size;
    std::ptrdiff_t inner;
};

// axis counts the axis of the samples as 0, and is at least 1.
inline AxisView view_axis(const Extents& extents, Operand operand, std::int64_t axis) {
    const Buffer& buffer = extents[operand];
    const std::size_t at = static_cast<std::size_t>(axis) - (buffer.batched() ? 1 : 0);
    AxisView view{0, buffer.trailing[at], 1};
    for (std::size_t i = at + 1; i < buffer.trailing.size(); ++i) view.inner *= buffer.trailing[i];
    view.outer = extents.size(operand) / (view.size * view.inner);
    return view;
}

template <class T>
void run(const Softmax& op, const Step<T>& step) {
    const AxisView view = view_axis(step.extents, op.x, op.axis);
    const std::ptrdiff_t block = view.size * view.inner;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(
        step.team, view.outer, kGrain / block, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.elementwise.softmax(op.log, x + begin * block, y + begin * block,
                                             end - begin, view.size, view.inner);
        });
}

template <class T>
void run(const SoftmaxGrad& op, const Step<T>& step) {
    const AxisView view = view_axis(step.extents, op.dy, op.axis);
    const std::ptrdiff_t block = view.size * view.inner;
    const T* y = step.data(op.y);
    const T* dy = step.data(op.dy);
    T* dx = step.data(op.dx);
    parallel_ranges(
        step.team, view.outer, kGrain / block, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.elementwise.softmax_grad(op.log, y + begin * block, dy + begin * block,
                                                  dx + begin * block, end - begin, view.size,
                                                  view.inner);
        });
}

// A batch [samples, places, channels], where all places of a channel of a sample are dropped or
// kept.
struct DropoutView {
    std::ptrdiff_t samples;
    std::ptrdiff_t places;
    std::ptrdiff_t channels;
};

inline DropoutView view_dropout(const Dropout& op, const Extents& extents) {
    const Buffer& x = extents[op.x];
    const std::ptrdiff_t samples = x.batched() ? extents.counts[x.leading] : x.trailing.front();
    const std::ptrdiff_t sample = extents.size(op.x) / samples;
    return {samples, sample / x.last, x.last};
}

// The factors of the channels, 0 or 1 / (1 - p).
template <class T>
std::ptrdiff_t scratch_bytes(const Dropout& op, const Extents& extents, int) {
    if (!op.per_channel) return 0;
    const DropoutView at = view_dropout(op, extents);
    return at.samples * at.channels * std::ptrdiff_t{sizeof(T)};
}

template <class T>
void drop_channels(const Dropout& op, const Step<T>& step) {
    const DropoutView at = view_dropout(op, step.extents);
    const std::ptrdiff_t count = at.samples * at.channels;
    const std::ptrdiff_t sample = at.places * at.channels;
    T* factors = reinterpret_cast<T*>(step.scratch);  // [samples, channels]
    std::fill_n(factors, count, T{1});
    step.kernels.elementwise.dropout(step.seed, static_cast<std::uint32_t>(op.stream), step.number,
                                     op.p, factors, factors, 0, count);
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(
        step.team, at.samples, kGrain / sample, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            for (std::ptrdiff_t s = begin; s < end; ++s) {
                step.kernels.elementwise.drop_channels(factors + s * at.channels, x + s * sample,
                                                       y + s * sample, at.places, at.channels);
            }
        });
}

template <class T>
void run(const Dropout& op, const Step<T>& step) {
    if (op.per_channel) return drop_channels(op, step);
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    const auto stream = static_cast<std::uint32_t>(op.stream);
    parallel_ranges(step.team, step.extents.size(op.x), kGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.elementwise.dropout(step.seed, stream, step.number, op.p,
                                                         x + begin, y + begin, begin, end - begin);
                    });
}

template <class T>
void run(const Reshape& op, const Step<T>& step) {
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    if (x == y) return;
    std::memcpy(y, x, static_cast<std::size_t>(step.extents.size(op.x)) * sizeof(T));
}

template <class T>
void run(const Add& op, const Step<T>& step) {
    const T* a = step.data(op.a);
    const T* b = step.data(op.b);
    T* y = step.data(op.y);
    const T alpha = static_cast<T>(op.alpha);
    parallel_ranges(step.team, step.extents.size(op.a), kGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.elementwise.add(op.activation, alpha, a + begin, b + begin,
                                                     y + begin, end - begin);
                    });
}

template <class T>
void run(const Multiply& op, const Step<T>& step) {
    const T* a = step.data(op.a);
    const T* b = step.data(op.b);
    T* y = step.data(op.y);
    parallel_ranges(
        step.team, step.extents.size(op.a), kGrain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            step.kernels.elementwise.multiply(a + begin, b + begin, y + begin, end - begin);
        });
}

// b, repeated for the wide rows.
template <class T>
std::ptrdiff_t scratch_bytes(const Bias& op, const Extents& extents, int) {
    return ChannelRows(extents, op.x).columns() * std::ptrdiff_t{sizeof(T)};
}

template <class T>
void run(const Bias& op, const Step<T>& step) {
    const ChannelRows at(step.extents, op.x);
    const T* b = step.data(op.b);
    T* wide = reinterpret_cast<T*>(step.scratch);
    repeat_channels(at, wide, [&](std::ptrdiff_t c) { return b[c]; });
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    const T alpha = static_cast<T>(op.alpha);
    parallel_wide_rows(step.team, at,
                       [&](std::ptrdiff_t offset, std::ptrdiff_t rows, std::ptrdiff_t columns) {
                           step.kernels.elementwise.bias(op.activation, alpha, x + offset, wide,
                                                         y + offset, rows, columns);
                       });
}

template <class T>
std::ptrdiff_t scratch_bytes(const BiasGrad& op, const Extents& extents, int) {
    const std::ptrdiff_t channels = extents.last(op.dy);
    return channel_sums_scratch<T>(extents.size(op.dy) / channels, channels);
}

template <class T>
void run(const BiasGrad& op, const Step<T>& step) {
    const std::ptrdiff_t channels = step.extents.last(op.dy);
    channel_sums(step, step.data(op.dy), step.extents.size(op.dy) / channels, channels,
                 step.data(op.db), op.accumulate, step.scratch);
}

template <class T>
void run(const MoveChannels& op, const Step<T>& step) {
    constexpr std::ptrdiff_t kBlock = 64;  // columns: what of a row lies in a few cache lines
    const std::ptrdiff_t sample = step.extents[op.x].row;
    const std::ptrdiff_t channels = step.extents.last(op.last ? Operand(op.y) : Operand(op.x));
    const std::ptrdiff_t rows = op.last ? channels : sample / channels;
    const std::ptrdiff_t columns = sample / rows;
    const std::ptrdiff_t blocks = (columns + kBlock - 1) / kBlock;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(step.team, step.extents.rows * blocks, kGrain / (rows * kBlock),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t t = begin; t < end; ++t) {
                            const std::ptrdiff_t first = t % blocks * kBlock;
                            const std::ptrdiff_t offset = t / blocks * sample;
                            step.kernels.elementwise.transpose(x + offset + first, columns,
                                                               y + offset + first * rows, rows,
                                                               std::min(kBlock, columns - first));
                        }
                    });
}

}  // namespace pybp
