// Losses of one ISA level: value and gradient in one pass over each row.
#include "elementwise_losses.h"
#include "softmax.h"
#include "table.h"

namespace pybp {
namespace {

template <class T>
T weight_of(const LossRows<T>& rows, std::ptrdiff_t r) {
    return rows.weight ? rows.weight[r / rows.rows_per_weight] : T{1};
}

template <class T>
void zero(T* x, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; ++i) x[i] = T{0};
}

// One row of a loss of single elements; f(p, t, column, head) gives its terms. The sum is kept in
// T for kChunk elements and in double beyond.
template <class T, class F>
PYBP_INLINE void element_row(const LossRows<T>& rows, const T* target, std::ptrdiff_t r, F f) {
    const std::ptrdiff_t begin = r * rows.columns;
    const T weight = weight_of(rows, r);
    T* dy = rows.dy ? rows.dy + begin : nullptr;
    T* losses = rows.losses ? rows.losses + begin : nullptr;
    if (weight == T{0}) {  // what weighs nothing counts 0, even if it is NaN
        if (dy) zero(dy, rows.columns);
        if (losses) zero(losses, rows.columns);
        rows.row_sums[r] = 0;
        return;
    }
    const T slope_scale = rows.factor * weight;
    const T loss_scale = rows.scale * weight;
    double total = 0;
    for (std::ptrdiff_t chunk = 0; chunk < rows.columns; chunk += kChunk) {
        const std::ptrdiff_t left = rows.columns - chunk;
        V<T> sum = {};
        for_each_vector<T>(left < kChunk ? left : kChunk, [&](std::ptrdiff_t offset, auto head) {
            const std::ptrdiff_t i = chunk + offset;
            const LossTerm<T> term =
                f(load(rows.prediction + begin + i, head), load(target + begin + i, head), i, head);
            const V<T> loss = term.loss * loss_scale;
            if (dy) store(dy + i, term.slope * slope_scale, head);
            if (losses) store(losses + i, loss, head);
            sum = sum + keep_or(loss, head, T{0});
        });
        total += static_cast<double>(sum_lanes<T>(sum));
    }
    rows.row_sums[r] = total;
}

template <class T>
void elementwise(LossFunction function, T parameter, bool full, const LossRows<T>& rows,
                 const T* target) {
    with_loss(function, [&](auto loss) {
        for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
            element_row(rows, target, r, [&](V<T> p, V<T> t, std::ptrdiff_t, auto) {
                LossTerm<T> term = loss.template at<T>(p, t, parameter);
                if (full) term.loss = term.loss + stirling<T>(t);
                return term;
            });
        }
    });
}

// Weights of columns for the vector at column i: the row repeats them every `period` columns.
template <class T>
PYBP_INLINE V<T> repeated(const T* weights, std::ptrdiff_t i, std::ptrdiff_t period) {
    if (!weights) return broadcast(T{1});
    std::ptrdiff_t column = i % period;
    if (column + kLanes<T> <= period) return load(weights + column);
    T lanes[kLanes<T>];
    for (int lane = 0; lane < kLanes<T>; ++lane) {
        lanes[lane] = weights[column];
        column = column + 1 == period ? 0 : column + 1;
    }
    return load(lanes);
}

template <class T>
void bce_with_logits(const LossRows<T>& rows, const T* target, const T* column_weight,
                     const T* positive_weight, std::ptrdiff_t period) {
    for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
        element_row(rows, target, r, [&](V<T> p, V<T> t, std::ptrdiff_t i, auto) {
            const V<T> c = repeated(column_weight, i, period);
            const V<T> q = repeated(positive_weight, i, period);
            const V<T> weight = (q - T{1}) * t + T{1};
            const V<T> negative = T{1} - t;
            // One exponential for both log(1 + exp(-p)) and sigmoid(-p).
            const V<T> e = exp<T>(-abs<T>(p));
            const V<T> softplus = max<T>(-p, T{0}) + log1p<T>(e);
            const V<T> sigmoid = (p > T{0} ? e : broadcast(T{1})) / (e + T{1});
            return LossTerm<T>{c * (negative * p + weight * softplus),
                               c * (negative - weight * sigmoid)};
        });
    }
}

// Writes what a row's loss and weight give to `losses` and `row_sums`.
template <class T>
void finish_row(const LossRows<T>& rows, std::ptrdiff_t r, T loss) {
    if (rows.losses) rows.losses[r] = loss;
    rows.row_sums[r] = static_cast<double>(loss);
}

template <class T>
void zero_row(const LossRows<T>& rows, std::ptrdiff_t r) {
    if (rows.dy) zero(rows.dy + r * rows.columns, rows.columns);
    finish_row(rows, r, T{0});
}

template <class T>
void norm(const LossRows<T>& rows, const T* target) {
    for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
        const T weight = weight_of(rows, r);
        if (weight == T{0}) {
            zero_row(rows, r);
            continue;
        }
        const T* p = rows.prediction + r * rows.columns;
        const T* t = target + r * rows.columns;
        V<T> squares = {};
        for_each_vector<T>(rows.columns, [&](std::ptrdiff_t i, auto head) {
            const V<T> error = load(p + i, head) - load(t + i, head);
            squares = squares + error * error;
        });
        const T length = sqrt(broadcast(sum_lanes<T>(squares)))[0];
        finish_row(rows, r, rows.scale * weight * length);
        if (!rows.dy) continue;
        const T scale = rows.factor * weight;
        const T divisor = length == T{0} ? T{1} : length;
        T* dy = rows.dy + r * rows.columns;
        for_each_vector<T>(rows.columns, [&](std::ptrdiff_t i, auto head) {
            store(dy + i, (load(p + i, head) - load(t + i, head)) / divisor * scale, head);
        });
    }
}

// Cross entropy of one row, -sum of m_j log p_j. m is `mixed(i, head)`, a vector at a time and 0
// past the range, and one `peak` more at column `label`, if label >= 0.
template <class T>
struct CrossEntropyRow {
    const T* p;  // [columns], logits or log-probabilities
    T* dy;       // [columns] or null
    std::ptrdiff_t columns;
    bool logits;
    std::ptrdiff_t label;
    T peak;
    T scale;  // of the gradient

    // 0 * (-inf) counts 0: what has no weight has no say.
    PYBP_INLINE static V<T> product(V<T> m, V<T> log_p) { return m == T{0} ? V<T>{} : m * log_p; }

    template <class Mixed>
    PYBP_INLINE T run(bool has_mixed, Mixed mixed) const {
        T largest = 0;
        T sum = 1;
        if (logits) {
            largest = row_max(p, columns);
            sum = dy ? row_exp(p, largest, dy, columns) : row_exp_sum(p, largest, columns);
        }
        const T log_sum = logits ? scalar_log(sum) : T{0};
        V<T> losses = {};
        V<T> weights = {};
        if (has_mixed) {
            for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
                const V<T> m = mixed(i, head);
                losses = losses + product(m, (load(p + i, head) - largest) - log_sum);
                weights = weights + m;
            });
        }
        T loss = sum_lanes<T>(losses);
        T weight = sum_lanes<T>(weights);
        if (label >= 0) {
            loss += peak == T{0} ? T{0} : peak * ((p[label] - largest) - log_sum);
            weight += peak;
        }
        if (dy) write_slopes(weight / sum, has_mixed, mixed);
        return -loss;
    }

    template <class Mixed>
    PYBP_INLINE void write_slopes(T weight, bool has_mixed, Mixed mixed) const {
        for_each_vector<T>(columns, [&](std::ptrdiff_t i, auto head) {
            V<T> slope = logits ? load(dy + i, head) * weight : V<T>{};
            if (has_mixed) slope = slope - mixed(i, head);
            store(dy + i, slope * scale, head);
        });
        if (label >= 0) dy[label] -= scale * peak;
    }
};

template <class T>
void label(const LossRows<T>& rows, const std::int32_t* labels, const T* class_weight,
           std::int32_t ignore_index, T label_smoothing, bool logits) {
    const T share = label_smoothing / static_cast<T>(rows.columns);
    for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
        const T weight = weight_of(rows, r);
        if (weight == T{0} || labels[r] == ignore_index) {
            zero_row(rows, r);
            continue;
        }
        const T class_of = class_weight ? class_weight[labels[r]] : T{1};
        const CrossEntropyRow<T> row{rows.prediction + r * rows.columns,
                                     rows.dy ? rows.dy + r * rows.columns : nullptr,
                                     rows.columns,
                                     logits,
                                     labels[r],
                                     (T{1} - label_smoothing) * class_of,
                                     rows.factor * weight};
        const T loss = row.run(label_smoothing != T{0}, [&](std::ptrdiff_t i, auto head) {
            return class_weight ? load(class_weight + i, head) * share
                                : keep_or(broadcast(share), head, T{0});
        });
        finish_row(rows, r, rows.scale * weight * loss);
    }
}

template <class T>
void distribution(const LossRows<T>& rows, const T* target, const T* class_weight,
                  T label_smoothing) {
    const T share = label_smoothing / static_cast<T>(rows.columns);
    for (std::ptrdiff_t r = 0; r < rows.rows; ++r) {
        const T weight = weight_of(rows, r);
        if (weight == T{0}) {
            zero_row(rows, r);
            continue;
        }
        const T* t = target + r * rows.columns;
        const CrossEntropyRow<T> row{rows.prediction + r * rows.columns,
                                     rows.dy ? rows.dy + r * rows.columns : nullptr,
                                     rows.columns,
                                     true,
                                     -1,
                                     T{0},
                                     rows.factor * weight};
        const T loss = row.run(true, [&](std::ptrdiff_t i, auto head) {
            const V<T> m = load(t + i, head) * (T{1} - label_smoothing) + share;
            return class_weight ? load(class_weight + i, head) * m : keep_or(m, head, T{0});
        });
        finish_row(rows, r, rows.scale * weight * loss);
    }
}

template <class T>
void fill(LossKernels<T>& table) {
    table.elementwise = elementwise<T>;
    table.bce_with_logits = bce_with_logits<T>;
    table.norm = norm<T>;
    table.label = label<T>;
    table.distribution = distribution<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(loss, LossKernels)

}  // namespace pybp
