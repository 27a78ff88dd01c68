// What acts on gradients and weights around an update: penalties and bounds.
#pragma once

#include <cmath>

#include "run_update.h"
#include "scratch.h"

namespace pybp {

// The numbers of a gradient [..., size] that count: all of them, or those of the rows that `rows`
// [...] names, which come first.
template <class T>
std::ptrdiff_t counted(const Step<T>& step, Operand g, Operand rows) {
    if (!rows.present()) return step.extents.size(g);
    return touched_rows(step.words(rows), step.extents.size(rows)) * step.extents.last(g);
}

template <class T>
void run(const Penalty& op, const Step<T>& step) {
    const T l1 = static_cast<T>(op.l1);
    const T l2 = static_cast<T>(op.l2);
    const T* w = step.data(op.w);
    T* g = step.data(op.g);
    const auto& penalty = step.kernels.regularize.penalty;
    if (!op.rows.present()) {
        parallel_ranges(step.team, step.extents.size(op.g), kUpdateGrain,
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            penalty(l1, l2, w + begin, g + begin, end - begin);
                        });
        return;
    }
    const std::ptrdiff_t size = step.extents.last(op.g);
    const std::int32_t* rows = step.words(op.rows);
    parallel_ranges(step.team, touched_rows(rows, step.extents.size(op.rows)), row_grain(size),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t k = begin; k < end; ++k) {
                            penalty(l1, l2, w + rows[k] * size, g + k * size, size);
                        }
                    });
}

template <class T>
void run(const ClipValue& op, const Step<T>& step) {
    T* g = step.data(op.g);
    parallel_ranges(step.team, counted(step, op.g, op.rows), kUpdateGrain,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.regularize.clip_value(static_cast<T>(op.limit), g + begin,
                                                           end - begin);
                    });
}

// ----------------------------------------------------------------------------------- the norm

// Numbers of one partial sum of squares.
inline constexpr std::ptrdiff_t kNormChunk = 65536;
inline std::ptrdiff_t norm_chunks(std::ptrdiff_t count) {
    return (count + kNormChunk - 1) / kNormChunk;
}

// The scratch holds the partial sums of the largest gradient.
template <class T>
std::ptrdiff_t scratch_bytes(const ClipNorm& op, const Extents& extents, int) {
    std::ptrdiff_t most = 0;
    for (std::size_t i = 0; i < op.gradients.indices.size(); ++i) {
        most = std::max(most, norm_chunks(extents.size(op.gradients.at(i))));
    }
    return most * std::ptrdiff_t{sizeof(double)};
}

// The sum of (g * unit)^2 over all gradients.
template <class T>
double squares(const ClipNorm& op, const Step<T>& step, double unit) {
    auto* parts = reinterpret_cast<double*>(step.scratch);
    double total = 0;
    for (std::size_t i = 0; i < op.gradients.indices.size(); ++i) {
        const T* g = step.data(op.gradients.at(i));
        const std::ptrdiff_t count = counted(step, op.gradients.at(i), op.rows.at(i));
        const std::ptrdiff_t chunks = norm_chunks(count);
        if (chunks == 0) continue;
        step.team.parallel_for(chunks, [&](std::ptrdiff_t chunk) {
            const std::ptrdiff_t begin = chunk * kNormChunk;
            parts[chunk] = step.kernels.regularize.sum_squares(unit, g + begin,
                                                               std::min(kNormChunk, count - begin));
        });
        for (std::ptrdiff_t chunk = 0; chunk < chunks; ++chunk) total += parts[chunk];
    }
    return total;
}

template <class T>
void run(const ClipNorm& op, const Step<T>& step) {
    constexpr double kUnit = 0x1p-600;  // keeps the squares of large doubles finite
    constexpr double kEpsilon = 1e-6;
    double norm = std::sqrt(squares(op, step, 1.0));
    if (std::isinf(norm)) norm = std::sqrt(squares(op, step, kUnit)) / kUnit;
    const double factor = op.limit / (norm + kEpsilon);
    if (factor >= 1) return;  // a NaN goes on, into all gradients
    for (std::size_t i = 0; i < op.gradients.indices.size(); ++i) {
        T* g = step.data(op.gradients.at(i));
        parallel_ranges(step.team, counted(step, op.gradients.at(i), op.rows.at(i)), kUpdateGrain,
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            step.kernels.regularize.scale(factor, g + begin, end - begin);
                        });
    }
}

// The scratch holds the sum of squares of each column, then its factor.
template <class T>
std::ptrdiff_t scratch_bytes(const MaxNorm& op, const Extents& extents, int) {
    return extents.last(op.w) * std::ptrdiff_t{sizeof(double)};
}

template <class T>
void run(const MaxNorm& op, const Step<T>& step) {
    T* w = step.data(op.w);  // [rows, columns]
    const std::ptrdiff_t columns = step.extents.last(op.w);
    const std::ptrdiff_t rows = step.extents.size(op.w) / columns;
    auto* factors = reinterpret_cast<double*>(step.scratch);
    parallel_ranges(
        step.team, columns, kUpdateGrain / rows, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            double* own = factors + begin;
            const std::ptrdiff_t count = end - begin;
            step.kernels.regularize.column_squares(w + begin, own, columns, rows, count);
            bool any = false;
            for (std::ptrdiff_t c = 0; c < count; ++c) {
                const double norm = std::sqrt(own[c]);
                const bool above = norm > op.limit;
                own[c] = above ? op.limit / norm : 1.0;
                any |= above;
            }
            if (any) step.kernels.regularize.scale_columns(own, w + begin, columns, rows, count);
        });
}

}  // namespace pybp
