// The ops that treat elements or rows one by one.
#pragma once

#include <cstring>

#include "step.h"

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
    const std::size_t at = static_cast<std::size_t>(axis) - (buffer.batched ? 1 : 0);
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

template <class T>
void run(const Dropout& op, const Step<T>& step) {
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

}  // namespace pybp
