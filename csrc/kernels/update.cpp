// The optimiser steps of one ISA level: one pass over flat arrays.
#include "table.h"
#include "vmath.h"

namespace pybp {
namespace {

// The gradient with its decay; all plain SGD steps share it, so that they have the same bits.
template <class T>
V<T> decayed(V<T> g, V<T> weight, const SGDStep<T>& s) {
    return g * s.sign + weight * s.weight_decay;
}

template <class T>
void sgd(const SGDStep<T>& step, bool nesterov, T* w, const T* g, T* v, std::ptrdiff_t count) {
    const SGDStep<T> s = step;
    if (!v) {
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            const V<T> weight = load(w + i, head);
            store(w + i, weight - decayed<T>(load(g + i, head), weight, s) * s.lr, head);
        });
        return;
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

template <class T>
bool all_finite(const T* x, std::ptrdiff_t count) {
    T zero = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) zero += x[i] * T{0};
    return zero == T{0};
}

template <class T>
void sgd_outer(const SGDStep<T>& step, T* w, const T* x, const T* dy, std::ptrdiff_t in,
               std::ptrdiff_t out) {
    const SGDStep<T> s = step;
    // 0 * dy is 0 for finite dy, and a step of 0 leaves a weight as it is.
    const bool skip_zeros = s.weight_decay == T{0} && all_finite(dy, out);
    for (std::ptrdiff_t i = 0; i < in; ++i) {
        const T input = x[i];
        if (input == T{0} && skip_zeros) continue;
        T* row = w + i * out;
        for_each_vector<T>(out, [&](std::ptrdiff_t j, auto head) {
            const V<T> weight = load(row + j, head);
            const V<T> g = load(dy + j, head) * input;
            store(row + j, weight - decayed<T>(g, weight, s) * s.lr, head);
        });
    }
}

template <class T>
void adam(const AdamStep<T>& step, bool decoupled, T* w, const T* g, T* m, T* v, T* vmax,
          std::ptrdiff_t count) {
    const AdamStep<T> s = step;
    const T keep_weight = decoupled ? T{1} - s.lr * s.weight_decay : T{1};
    const T rate = s.lr / s.correction1;
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        V<T> slope = load(g + i, head) * s.sign;
        if (!decoupled) slope = slope + weight * s.weight_decay;
        const V<T> mean = load(m + i, head) * s.beta1 + slope * s.gain1;
        const V<T> square = load(v + i, head) * s.beta2 + slope * slope * s.gain2;
        store(m + i, mean, head);
        store(v + i, square, head);
        V<T> under_root = square;
        if (vmax) {
            under_root = larger<T>(load(vmax + i, head), square);
            store(vmax + i, under_root, head);
        }
        const V<T> divisor = sqrt(under_root) / s.sqrt_correction2 + s.eps;
        store(w + i, weight * keep_weight - mean * rate / divisor, head);
    });
}

template <class T>
void fill(UpdateKernels<T>& table) {
    table.sgd = sgd<T>;
    table.sgd_outer = sgd_outer<T>;
    table.adam = adam<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(update, UpdateKernels)

}  // namespace pybp
