// The embedding: rows of a table by their number, and their gradient as rows and values.
//
// Ids are not looked at here: Python has checked them, once a call (as it does class labels), and
// ids that a program gets from elsewhere must lie in [0, count).
#pragma once

#include <cstring>

#include "step.h"
#include "touched_rows.h"

namespace pybp {

template <class T>
void run(const Embedding& op, const Step<T>& step) {
    const std::ptrdiff_t size = step.extents.last(op.w);
    const std::int32_t* ids = step.words(op.ids);
    const T* w = step.data(op.w);  // [count, size]
    T* y = step.data(op.y);        // [ids, size]
    const auto bytes = static_cast<std::size_t>(size) * sizeof(T);
    parallel_ranges(step.team, step.extents.size(op.ids), row_grain(size),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            if (i + kRowsAhead < end)
                                prefetch_row(w + ids[i + kRowsAhead] * size, size);
                            std::memcpy(y + i * size, w + ids[i] * size, bytes);
                        }
                    });
}

template <class T>
std::ptrdiff_t scratch_bytes(const EmbeddingGrad& op, const Extents& extents, int) {
    Scratch memory;
    GroupedIds(memory, extents.size(op.ids));
    return memory.used();
}

// f(group) for each group of equal ids, whose places read `size` numbers each.
template <class T, class F>
void parallel_groups(const Step<T>& step, const GroupedIds& groups, std::ptrdiff_t size,
                     const F& f) {
    if (groups.size() == 0) return;
    const std::ptrdiff_t grain = row_grain(size) * groups.size() / groups.kept();
    parallel_ranges(step.team, groups.size(), grain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t g = begin; g < end; ++g) f(g);
    });
}

template <class T>
void run(const EmbeddingGrad& op, const Step<T>& step) {
    const std::ptrdiff_t count = step.extents.size(op.ids);
    const std::ptrdiff_t size = step.extents.last(op.dy);
    const std::int32_t* ids = step.words(op.ids);
    const T* dy = step.data(op.dy);    // [ids, size]
    T* values = step.data(op.values);  // [ids, size], of which the first rows are written
    Scratch memory(step.scratch);
    GroupedIds groups(memory, count);
    groups.group(
        ids, count, [&](std::ptrdiff_t i) { return ids[i] != op.padding; }, step.words(op.rows));
    parallel_groups(step, groups, size, [&](std::ptrdiff_t g) {
        step.kernels.embedding.sum_rows({dy, size, groups.places(g), groups.count(g)}, nullptr,
                                        T{1}, values + g * size);
    });
}

template <class T>
void run(const ScatterRows& op, const Step<T>& step) {
    const std::ptrdiff_t size = step.extents.last(op.values);
    const std::int32_t* rows = step.words(op.rows);
    const T* values = step.data(op.values);  // [rows, size]
    T* dw = step.data(op.dw);                // [count, size]
    if (!op.accumulate) {
        parallel_ranges(step.team, step.extents.size(op.dw), kGrain,
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            std::fill(dw + begin, dw + end, T{0});
                        });
    }
    parallel_ranges(step.team, touched_rows(rows, step.extents.size(op.rows)), row_grain(size),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t k = begin; k < end; ++k) {
                            T* row = dw + rows[k] * size;
                            step.kernels.elementwise.add(Activation::identity, T{0}, row,
                                                         values + k * size, row, size);
                        }
                    });
}

}  // namespace pybp
