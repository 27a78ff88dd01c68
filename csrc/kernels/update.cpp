// The optimiser steps of one ISA level: one pass over flat arrays.
#include "table.h"
#include "vmath.h"

namespace pybp {
namespace {

template <class T>
void sgd(const SGDStep<T>& step, bool nesterov, T* w, const T* g, T* v, std::ptrdiff_t count) {
    const SGDStep<T> s = step;
    if (!v) {
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            const V<T> weight = load(w + i, head);
            const V<T> slope = load(g + i, head) * s.sign + weight * s.weight_decay;
            store(w + i, weight - slope * s.lr, head);
        });
        return;
    }
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> weight = load(w + i, head);
        const V<T> slope = load(g + i, head) * s.sign + weight * s.weight_decay;
        const V<T> velocity = load(v + i, head) * s.momentum + slope * s.gain;
        store(v + i, velocity, head);
        const V<T> move = nesterov ? slope + velocity * s.momentum : velocity;
        store(w + i, weight - move * s.lr, head);
    });
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
            const V<T> before = load(vmax + i, head);
            under_root = (before > square) | (before != before) ? before : square;
            store(vmax + i, under_root, head);
        }
        const V<T> divisor = sqrt(under_root) / s.sqrt_correction2 + s.eps;
        store(w + i, weight * keep_weight - mean * rate / divisor, head);
    });
}

template <class T>
void fill(UpdateKernels<T>& table) {
    table.sgd = sgd<T>;
    table.adam = adam<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(update, UpdateKernels)

}  // namespace pybp
