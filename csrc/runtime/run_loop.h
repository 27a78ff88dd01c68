// The ops around loops over time. The executor runs the loops themselves.
#pragma once

#include <algorithm>

#include "run_sequence.h"

namespace pybp {

// Copies rows of `row` elements: f(k) is where row k of the ranks comes from and where it goes.
template <class T, class F>
void copy_rows(const Step<T>& step, std::ptrdiff_t count, std::ptrdiff_t row, const T* from, T* to,
               const F& f) {
    parallel_ranges(step.team, count, kGrain / row, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t k = begin; k < end; ++k) {
            const auto [source, target] = f(k);
            std::copy_n(from + source * row, row, to + target * row);
        }
    });
}

template <class T>
void run(const ByRank& op, const Step<T>& step) {
    const std::ptrdiff_t* order = step.packing(op.packing).order;
    const bool inverse = op.inverse;
    copy_rows(step, step.extents.rows, step.extents[op.x].row, step.data(op.x), step.data(op.y),
              [=](std::ptrdiff_t k) {
                  return inverse ? std::pair(k, order[k]) : std::pair(order[k], k);
              });
}

template <class T>
void run(const LastStep& op, const Step<T>& step) {
    const std::ptrdiff_t row = step.extents[op.y].row;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    for_each_sample(step, step.packing(op.packing), row,
                    [&](std::ptrdiff_t sample, std::ptrdiff_t length, const auto& place) {
                        T* to = y + sample * row;
                        if (length == 0) {
                            std::fill_n(to, row, T{0});
                        } else {
                            std::copy_n(x + place(length - 1) * row, row, to);
                        }
                    });
}

template <class T>
void run(const LastStepGrad& op, const Step<T>& step) {
    const std::ptrdiff_t row = step.extents[op.dy].row;
    const T* dy = step.data(op.dy);
    T* dx = step.data(op.dx);
    for_each_sample(step, step.packing(op.packing), row,
                    [&](std::ptrdiff_t sample, std::ptrdiff_t length, const auto& place) {
                        for (std::ptrdiff_t t = 0; t < length - 1; ++t) {
                            std::fill_n(dx + place(t) * row, row, T{0});
                        }
                        if (length > 0) {
                            std::copy_n(dy + sample * row, row, dx + place(length - 1) * row);
                        }
                    });
}

template <class T>
void run(const ReverseSteps& op, const Step<T>& step) {
    const std::ptrdiff_t row = step.extents[op.x].row;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    for_each_sample(step, step.packing(op.packing), row,
                    [&](std::ptrdiff_t, std::ptrdiff_t length, const auto& place) {
                        for (std::ptrdiff_t t = 0; t < length; ++t) {
                            std::copy_n(x + place(length - 1 - t) * row, row, y + place(t) * row);
                        }
                    });
}

template <class T>
void run(const Zeros& op, const Step<T>& step) {
    T* y = step.data(op.y);
    parallel_ranges(
        step.team, step.extents.size(op.y), kGrain,
        [&](std::ptrdiff_t begin, std::ptrdiff_t end) { std::fill(y + begin, y + end, T{0}); });
}

}  // namespace pybp
