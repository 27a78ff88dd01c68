// The losses and the accuracy: the divisor first, then the rows in parallel, then their sums in
// order. Sums of rows are kept in double in the scratch, so results have one order of addition.
#pragma once

#include <cmath>
#include <cstring>

#include "step.h"

namespace pybp {

// A prediction as rows that share a weight each: [rows, columns].
struct LossLayout {
    std::ptrdiff_t rows;
    std::ptrdiff_t columns;
    std::ptrdiff_t rows_per_weight;
};

// The loss has a value for each element: a row is what shares a weight.
inline LossLayout layout_elements(const Extents& extents, Operand prediction, Operand weight) {
    const std::ptrdiff_t rows = weight.present() ? extents.size(weight) : extents.count(prediction);
    return {rows, extents.size(prediction) / rows, 1};
}

// The loss has a value for each row of the last axis.
inline LossLayout layout_rows(const Extents& extents, Operand prediction, Operand weight) {
    const std::ptrdiff_t columns = extents.last(prediction);
    const std::ptrdiff_t rows = extents.size(prediction) / columns;
    return {rows, columns, weight.present() ? rows / extents.size(weight) : 1};
}

template <class Op>
LossLayout layout(const Op& op, const Extents& extents) {
    constexpr bool kElements =
        std::is_same_v<Op, ElementwiseLoss> || std::is_same_v<Op, BCEWithLogitsLoss>;
    return kElements ? layout_elements(extents, op.prediction, op.weight)
                     : layout_rows(extents, op.prediction, op.weight);
}

inline LossLayout layout(const Accuracy& op, const Extents& extents) {
    return op.binary ? layout_elements(extents, op.prediction, op.weight)
                     : layout_rows(extents, op.prediction, op.weight);
}

inline constexpr std::ptrdiff_t kSumsPerRow = 2;  // the most that an op keeps for a row

template <class T, class Op>
std::enable_if_t<(std::is_base_of_v<Loss, Op> && !kRunsInHost<Op>) || std::is_same_v<Op, Accuracy>,
                 std::ptrdiff_t>
scratch_bytes(const Op& op, const Extents& extents, int) {
    return layout(op, extents).rows * kSumsPerRow * std::ptrdiff_t{sizeof(double)};
}

template <class T>
double sum(const T* x, std::ptrdiff_t count) {
    double total = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) total += static_cast<double>(x[i]);
    return total;
}

// f(begin, end) on ranges of rows; a cut never separates rows that share a weight.
template <class F>
void parallel_rows(Team& team, const LossLayout& at, const F& f) {
    const std::ptrdiff_t together = at.rows_per_weight;
    parallel_ranges(
        team, at.rows / together, kGrain / (together * at.columns),
        [&](std::ptrdiff_t begin, std::ptrdiff_t end) { f(begin * together, end * together); });
}

// ------------------------------------------------------------------------------- the divisor

// The weights of all positions; without weights their number.
template <class T, class Op>
double weight_of_positions(const Op& op, const Step<T>& step) {
    const LossLayout at = layout(op, step.extents);
    constexpr bool kElements =
        std::is_same_v<Op, ElementwiseLoss> || std::is_same_v<Op, BCEWithLogitsLoss>;
    const std::ptrdiff_t positions = kElements ? at.rows * at.columns : at.rows;
    if (!op.weight.present()) return static_cast<double>(positions);
    const std::ptrdiff_t weights = step.extents.size(op.weight);
    return sum(step.data(op.weight), weights) * static_cast<double>(positions / weights);
}

// Positions count the weight of their class, and nothing where the label is to be ignored.
template <class T>
double weight_of_positions(const LabelLoss& op, const Step<T>& step) {
    const LossLayout at = layout(op, step.extents);
    const std::int32_t* labels = step.labels(op.target);
    const T* weight = step.data(op.weight);
    const T* class_weight = step.data(op.class_weight);
    double total = 0;
    for (std::ptrdiff_t r = 0; r < at.rows; ++r) {
        if (labels[r] == op.ignore_index) continue;
        const double w = weight ? static_cast<double>(weight[r / at.rows_per_weight]) : 1.0;
        total += class_weight ? w * static_cast<double>(class_weight[labels[r]]) : w;
    }
    return total;
}

template <class T, class Op>
double divisor(const Op& op, const Step<T>& step) {
    switch (op.reduction) {
        case Reduction::mean:
            return weight_of_positions(op, step);
        case Reduction::batch:
            if (op.weight.present() && step.extents[op.weight].axes() == 1) {
                return sum(step.data(op.weight), step.extents.rows);
            }
            [[fallthrough]];
        case Reduction::samples:
            return static_cast<double>(step.extents.rows);
        case Reduction::sum:
            break;
    }
    return 1.0;
}

// -------------------------------------------------------------------------------- the losses

// call(rows, begin) runs a kernel on the rows that start at row `begin`.
template <class T, class Op, class Call>
void run_loss(const Op& op, const Step<T>& step, const Call& call) {
    const LossLayout at = layout(op, step.extents);
    const double d = divisor(op, step);
    auto* row_sums = reinterpret_cast<double*>(step.scratch);  // [rows]
    LossRows<T> all{};
    all.prediction = step.data(op.prediction);
    all.weight = step.data(op.weight);
    all.rows_per_weight = at.rows_per_weight;
    all.scale = static_cast<T>(op.scale);
    all.factor = static_cast<T>(d != 0 ? op.scale / d : 0);
    all.dy = step.data(op.dy);
    all.losses = step.data(op.losses);
    all.columns = at.columns;
    if (d == 0 && all.dy) {  // nothing counts: slopes that are no number must not show
        std::memset(all.dy, 0, static_cast<std::size_t>(at.rows * at.columns) * sizeof(T));
        all.dy = nullptr;
    }
    const std::ptrdiff_t loss_columns =
        op.losses.present() ? step.extents.size(op.losses) / at.rows : 0;
    parallel_rows(step.team, at, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        LossRows<T> part = all;
        part.prediction += begin * at.columns;
        if (part.weight) part.weight += begin / at.rows_per_weight;
        if (part.dy) part.dy += begin * at.columns;
        if (part.losses) part.losses += begin * loss_columns;
        part.row_sums = row_sums + begin;
        part.rows = end - begin;
        call(part, begin);
    });
    step.results[op.result] += sum(row_sums, at.rows);
    step.results[op.result + 1] += d;
}

template <class T>
void run(const ElementwiseLoss& op, const Step<T>& step) {
    const T* target = step.data(op.target);
    run_loss(op, step, [&](const LossRows<T>& rows, std::ptrdiff_t begin) {
        step.kernels.loss.elementwise(op.function, static_cast<T>(op.parameter), op.full, rows,
                                      target + begin * rows.columns);
    });
}

template <class T>
void run(const BCEWithLogitsLoss& op, const Step<T>& step) {
    const T* target = step.data(op.target);
    const T* column_weight = step.data(op.column_weight);
    const T* positive_weight = step.data(op.positive_weight);
    const std::ptrdiff_t period = step.extents.last(op.prediction);
    run_loss(op, step, [&](const LossRows<T>& rows, std::ptrdiff_t begin) {
        if (rows.columns % period == 0) {
            step.kernels.loss.bce_with_logits(rows, target + begin * rows.columns, column_weight,
                                              positive_weight, period);
            return;
        }
        // Each element has a weight of its own, so a row is one element of one column.
        for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
            const std::ptrdiff_t column = (begin + r) % period;
            LossRows<T> one = rows;
            one.prediction += r;
            one.weight += r;
            if (one.dy) one.dy += r;
            if (one.losses) one.losses += r;
            one.row_sums += r;
            one.rows = 1;
            step.kernels.loss.bce_with_logits(
                one, target + begin + r, column_weight ? column_weight + column : nullptr,
                positive_weight ? positive_weight + column : nullptr, 1);
        }
    });
}

template <class T>
void run(const NormLoss& op, const Step<T>& step) {
    const T* target = step.data(op.target);
    run_loss(op, step, [&](const LossRows<T>& rows, std::ptrdiff_t begin) {
        step.kernels.loss.norm(rows, target + begin * rows.columns);
    });
}

template <class T>
void run(const LabelLoss& op, const Step<T>& step) {
    const std::int32_t* labels = step.labels(op.target);
    const T* class_weight = step.data(op.class_weight);
    run_loss(op, step, [&](const LossRows<T>& rows, std::ptrdiff_t begin) {
        step.kernels.loss.label(rows, labels + begin, class_weight,
                                static_cast<std::int32_t>(op.ignore_index),
                                static_cast<T>(op.label_smoothing), op.logits);
    });
}

template <class T>
void run(const DistributionLoss& op, const Step<T>& step) {
    const T* target = step.data(op.target);
    const T* class_weight = step.data(op.class_weight);
    run_loss(op, step, [&](const LossRows<T>& rows, std::ptrdiff_t begin) {
        step.kernels.loss.distribution(rows, target + begin * rows.columns, class_weight,
                                       static_cast<T>(op.label_smoothing));
    });
}

// ------------------------------------------------------------------------------ the accuracy

// The position of the first maximum; of the first NaN if there is one.
template <class T>
std::ptrdiff_t first_maximum(const T* x, std::ptrdiff_t count) {
    std::ptrdiff_t best = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        if (std::isnan(x[i])) return i;
        if (x[i] > x[best]) best = i;
    }
    return best;
}

// Hits and positions of one row, before its weight.
struct RowCount {
    double hits;
    double positions;
};

template <class T>
RowCount count_binary(const Accuracy& op, const T* prediction, const T* target,
                      std::ptrdiff_t columns) {
    const T threshold = static_cast<T>(op.threshold);
    std::ptrdiff_t hits = 0;
    for (std::ptrdiff_t c = 0; c < columns; ++c) {
        const bool right = (prediction[c] > threshold) == (target[c] > T(0.5));
        hits += right && !std::isnan(prediction[c]);
    }
    return {static_cast<double>(hits), static_cast<double>(columns)};
}

template <class T>
RowCount count_row(const Accuracy& op, const T* prediction, std::ptrdiff_t label,
                   std::ptrdiff_t columns) {
    if (label == op.ignore_index) return {0, 0};
    const std::ptrdiff_t best = first_maximum(prediction, columns);
    return {best == label && !std::isnan(prediction[best]) ? 1.0 : 0.0, 1.0};
}

template <class T>
void run(const Accuracy& op, const Step<T>& step) {
    const LossLayout at = layout(op, step.extents);
    const T* prediction = step.data(op.prediction);
    const T* weight = step.data(op.weight);
    const bool labelled = step.extents[op.target].dtype == DType::int32;
    const std::int32_t* labels = labelled ? step.labels(op.target) : nullptr;
    const T* target = labelled ? nullptr : step.data(op.target);
    auto* counts = reinterpret_cast<RowCount*>(step.scratch);  // [rows]
    static_assert(sizeof(RowCount) == kSumsPerRow * sizeof(double));
    parallel_rows(step.team, at, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t r = begin; r < end; ++r) {
            const T* row = prediction + r * at.columns;
            const T* wanted = target ? target + r * at.columns : nullptr;
            if (op.binary) {
                counts[r] = count_binary(op, row, wanted, at.columns);
            } else {
                const std::ptrdiff_t label =
                    labels ? std::ptrdiff_t{labels[r]} : first_maximum(wanted, at.columns);
                counts[r] = count_row(op, row, label, at.columns);
            }
        }
    });
    RowCount total{0, 0};
    for (std::ptrdiff_t r = 0; r < at.rows; ++r) {
        const double w = weight ? static_cast<double>(weight[r / at.rows_per_weight]) : 1.0;
        total.hits += w * counts[r].hits;
        total.positions += w * counts[r].positions;
    }
    step.results[op.result] += total.hits;
    step.results[op.result + 1] += total.positions;
}

}  // namespace pybp
