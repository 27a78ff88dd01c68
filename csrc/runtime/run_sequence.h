// The sequence ops: rows that are copied to other places.
#pragma once

#include <algorithm>

#include "step.h"

namespace pybp {

// The most time steps of one sample of a packing: what its ops on whole samples have room for.
inline std::ptrdiff_t longest(const Program& program, std::size_t packing) {
    std::ptrdiff_t result = program.capacity[kPacked + packing];
    const auto limit = [&](std::int64_t index, std::ptrdiff_t steps) {
        if (index == static_cast<std::int64_t>(packing)) result = std::min(result, steps);
    };
    for (const Op& node : program.ops) {
        if (const auto* pack = std::get_if<Pack>(&node)) {
            const auto x = static_cast<std::size_t>(pack->x.index);
            limit(pack->packing, program.buffers[x].trailing.front());
        } else if (const auto* unpack = std::get_if<Unpack>(&node)) {
            limit(unpack->packing, unpack->steps);
        }
    }
    return result;
}

// Calls f(sample, length, place) for all samples: place(t) is the packed row of its step t.
template <class T, class F>
void for_each_sample(const Step<T>& step, const Packing& packing, std::ptrdiff_t size, const F& f) {
    parallel_ranges(step.team, packing.samples, kGrain / size,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t rank = begin; rank < end; ++rank) {
                            const std::ptrdiff_t sample = packing.order[rank];
                            f(sample, packing.lengths[sample],
                              [&](std::ptrdiff_t t) { return packing.offsets[t] + rank; });
                        }
                    });
}

template <class T>
void run(const Pack& op, const Step<T>& step) {
    const std::ptrdiff_t row = step.extents[op.y].row;
    const std::ptrdiff_t size = step.extents[op.x].row;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    for_each_sample(step, step.packing(op.packing), size,
                    [&](std::ptrdiff_t sample, std::ptrdiff_t length, const auto& place) {
                        const T* from = x + sample * size;
                        for (std::ptrdiff_t t = 0; t < length; ++t) {
                            std::copy_n(from + t * row, row, y + place(t) * row);
                        }
                    });
}

template <class T>
void run(const Unpack& op, const Step<T>& step) {
    const std::ptrdiff_t row = step.extents[op.x].row;
    const std::ptrdiff_t size = step.extents[op.y].row;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    for_each_sample(step, step.packing(op.packing), size,
                    [&](std::ptrdiff_t sample, std::ptrdiff_t length, const auto& place) {
                        T* to = y + sample * size;
                        for (std::ptrdiff_t t = 0; t < length; ++t) {
                            std::copy_n(x + place(t) * row, row, to + t * row);
                        }
                        std::fill(to + length * row, to + size, T{0});
                    });
}

// Copies `columns` columns of all rows: from [rows, from_row], to [rows, to_row].
template <class T>
void copy_columns(const Step<T>& step, std::ptrdiff_t rows, std::ptrdiff_t columns, const T* from,
                  std::ptrdiff_t from_row, T* to, std::ptrdiff_t to_row) {
    parallel_ranges(step.team, rows, kGrain / columns,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            std::copy_n(from + i * from_row, columns, to + i * to_row);
                        }
                    });
}

template <class T>
void run(const Concat& op, const Step<T>& step) {
    const std::ptrdiff_t a = step.extents.last(op.a);
    const std::ptrdiff_t b = step.extents.last(op.b);
    const std::ptrdiff_t rows = step.extents.size(op.y) / (a + b);
    T* y = step.data(op.y);
    copy_columns(step, rows, a, step.data(op.a), a, y, a + b);
    copy_columns(step, rows, b, step.data(op.b), b, y + a, a + b);
}

template <class T>
void run(const Columns& op, const Step<T>& step) {
    const std::ptrdiff_t x = step.extents.last(op.x);
    const std::ptrdiff_t rows = step.extents.size(op.x) / x;
    copy_columns(step, rows, op.size, step.data(op.x) + op.start, x, step.data(op.y), op.size);
}

template <class T>
void run(const PadColumns& op, const Step<T>& step) {
    const std::ptrdiff_t size = step.extents.last(op.x);
    const std::ptrdiff_t rows = step.extents.size(op.x) / size;
    const T* x = step.data(op.x);
    T* y = step.data(op.y);
    parallel_ranges(step.team, rows, kGrain / op.width,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            T* row = y + i * op.width;
                            std::fill_n(row, op.width, T{0});
                            std::copy_n(x + i * size, size, row + op.start);
                        }
                    });
}

}  // namespace pybp
