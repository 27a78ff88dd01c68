// The optimiser steps of one ISA level: one pass over flat arrays.
#include "sweep.h"
#include "table.h"
#include "vmath.h"

namespace pybp {
namespace {

template <class T, bool kDecays>
void plain_sgd(const SGDStep<T>& step, T* w, const T* g, std::ptrdiff_t count) {
    const SGDStep<T> s = step;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        store(w + i, stepped<T, kDecays>(load(g + i, head), weight, s), head);
    });
}

template <class T>
void sgd(const SGDStep<T>& step, bool nesterov, T* w, const T* g, T* v, std::ptrdiff_t count) {
    const SGDStep<T> s = step;
    if (!v) {
        return s.weight_decay == T{0} ? plain_sgd<T, false>(s, w, g, count)
                                      : plain_sgd<T, true>(s, w, g, count);
    }
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = decayed<T>(load(g + i, head), weight, s);
        const V<T> velocity = load(v + i, head) * s.momentum + slope * s.gain;
        store(v + i, velocity, head);
        const V<T> move = nesterov ? slope + velocity * s.momentum : velocity;
        store(w + i, weight - move * s.lr, head);
    });
}

template <class T, bool kDecays>
void outer_rows(const SGDStep<T>& step, T* w, const T* x, const T* dy, std::ptrdiff_t in,
                std::ptrdiff_t out) {
    const SGDStep<T> s = step;
    // 0 * dy is 0 for finite dy, and a step of 0 leaves a weight as it is.
    const bool skip_zeros = !kDecays && all_finite(dy, out);
    for (std::ptrdiff_t i = 0; i < in; ++i) {
        const T input = x[i];
        if (input == T{0} && skip_zeros) continue;
        T* row = w + i * out;
        for_each_vector<T>(out, [&](std::ptrdiff_t j, auto head) {
            const V<T> weight = load(row + j, head);
            store(row + j, stepped<T, kDecays>(load(dy + j, head) * input, weight, s), head);
        });
    }
}

template <class T>
void sgd_outer(const SGDStep<T>& s, T* w, const T* x, const T* dy, std::ptrdiff_t in,
               std::ptrdiff_t out) {
    return s.weight_decay == T{0} ? outer_rows<T, false>(s, w, x, dy, in, out)
                                  : outer_rows<T, true>(s, w, x, dy, in, out);
}

// What the steps with two running means share: the decay and the means. The weight changes by
// change(i, head, slope, mean, square).
template <class T, class Scalars, class F>
PYBP_INLINE void step_by_means(const Scalars& s, bool decoupled, T* w, const T* g, T* m, T* v,
                               std::ptrdiff_t count, F change) {
    const T keep_weight = decoupled ? T{1} - s.lr * s.weight_decay : T{1};
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        V<T> slope = load(g + i, head) * s.sign;
        if (!decoupled) slope = slope + weight * s.weight_decay;
        const V<T> mean = load(m + i, head) * s.beta1 + slope * s.gain1;
        const V<T> square = load(v + i, head) * s.beta2 + slope * slope * s.gain2;
        store(m + i, mean, head);
        store(v + i, square, head);
        store(w + i, weight * keep_weight - change(i, head, slope, mean, square), head);
    });
}

template <class T>
void adam(const AdamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v, T* vmax,
          std::ptrdiff_t count) {
    const AdamStep<T> s = step;
    const T rate = s.lr / s.correction1;
    const auto change = [&](std::ptrdiff_t i, auto head, V<T>, V<T> mean, V<T> square) {
        if (vmax) {
            square = larger<T>(load(vmax + i, head), square);
            store(vmax + i, square, head);
        }
        return mean * rate / (sqrt(square) / s.sqrt_correction2 + s.eps);
    };
    step_by_means<T>(s, decoupled, w, g, m, v, count, change);
}

template <class T>
void nadam(const NadamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v,
           std::ptrdiff_t count) {
    const NadamStep<T> s = step;
    const T slope_rate = s.lr * s.slope_part;
    const T mean_rate = s.lr * s.mean_part;
    const auto change = [&](std::ptrdiff_t, auto, V<T> slope, V<T> mean, V<T> square) {
        const V<T> divisor = sqrt(square) / s.sqrt_correction2 + s.eps;
        return (slope * slope_rate + mean * mean_rate) / divisor;
    };
    step_by_means<T>(s, decoupled, w, g, m, v, count, change);
}

template <class T>
void radam(const RadamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v,
           std::ptrdiff_t count) {
    const RadamStep<T> s = step;
    const T rate = s.lr / s.correction1;
    const auto plain = [&](std::ptrdiff_t, auto, V<T>, V<T> mean, V<T>) { return mean * rate; };
    const auto rectified = [&](std::ptrdiff_t, auto, V<T>, V<T> mean, V<T> square) {
        return mean * rate * s.rectifier / (sqrt(square) + s.eps);
    };
    if (s.rectifier == T{0}) {
        step_by_means<T>(s, decoupled, w, g, m, v, count, plain);
    } else {
        step_by_means<T>(s, decoupled, w, g, m, v, count, rectified);
    }
}

template <class T>
void adamax(const AdamaxStep<T>& step, T* w, const T* g, T* m, T* u, std::ptrdiff_t count) {
    const AdamaxStep<T> s = step;
    const T rate = s.lr / s.correction1;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = decayed<T>(load(g + i, head), weight, s);
        const V<T> mean = load(m + i, head) * s.beta1 + slope * s.gain1;
        const V<T> largest = larger<T>(load(u + i, head) * s.beta2, abs<T>(slope) + s.eps);
        store(m + i, mean, head);
        store(u + i, largest, head);
        store(w + i, weight - mean * rate / largest, head);
    });
}

template <class T>
void adagrad(const AdagradStep<T>& step, T* w, const T* g, T* sum, std::ptrdiff_t count) {
    const AdagradStep<T> s = step;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = decayed<T>(load(g + i, head), weight, s);
        const V<T> total = load(sum + i, head) + slope * slope;
        store(sum + i, total, head);
        store(w + i, weight - slope * s.lr / (sqrt(total) + s.eps), head);
    });
}

template <class T>
void rmsprop(const RMSPropStep<T>& step, T* w, const T* g, T* v, T* m, T* velocity,
             std::ptrdiff_t count) {
    const RMSPropStep<T> s = step;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = decayed<T>(load(g + i, head), weight, s);
        V<T> square = load(v + i, head) * s.alpha + slope * slope * s.gain;
        store(v + i, square, head);
        if (m) {
            const V<T> mean = load(m + i, head) * s.alpha + slope * s.gain;
            store(m + i, mean, head);
            square = max<T>(square - mean * mean, T{0});
        }
        V<T> move = slope / (sqrt(square) + s.eps);
        if (velocity) {
            move = load(velocity + i, head) * s.momentum + move;
            store(velocity + i, move, head);
        }
        store(w + i, weight - move * s.lr, head);
    });
}

template <class T>
void adadelta(const AdadeltaStep<T>& step, T* w, const T* g, T* v, T* u, std::ptrdiff_t count) {
    const AdadeltaStep<T> s = step;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = decayed<T>(load(g + i, head), weight, s);
        const V<T> square = load(v + i, head) * s.rho + slope * slope * s.gain;
        const V<T> before = load(u + i, head);
        const V<T> move = sqrt(before + s.eps) / sqrt(square + s.eps) * slope;
        store(v + i, square, head);
        store(u + i, before * s.rho + move * move * s.gain, head);
        store(w + i, weight - move * s.lr, head);
    });
}

template <class T>
void fill(UpdateKernels<T>& table) {
    table.sgd = sgd<T>;
    table.sgd_outer = sgd_outer<T>;
    table.sgd_sweep = sgd_sweep<T>;
    table.adam = adam<T>;
    table.nadam = nadam<T>;
    table.radam = radam<T>;
    table.adamax = adamax<T>;
    table.adagrad = adagrad<T>;
    table.rmsprop = rmsprop<T>;
    table.adadelta = adadelta<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(update, UpdateKernels)

}  // namespace pybp
