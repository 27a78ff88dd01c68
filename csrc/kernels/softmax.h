// What the softmax ops and the cross entropy need of one row.
#pragma once

#include "vmath.h"

namespace pybp {
namespace {

// The largest number of a row; NaN where the row has one.
template <class T>
PYBP_INLINE T row_max(const T* x, std::ptrdiff_t count) {
    V<T> largest = broadcast(-kInfinity<T>);
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        largest = larger<T>(keep_or(load(x + i, head), head, -kInfinity<T>), largest);
    });
    return join_lanes<T>(largest, [](V<T> a, V<T> b) { return larger<T>(a, b); })[0];
}

// The sum over the row of exp(x - largest).
template <class T>
PYBP_INLINE T row_exp_sum(const T* x, T largest, std::ptrdiff_t count) {
    V<T> sum = {};
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        sum = sum + exp<T>(keep_or(load(x + i, head), head, -kInfinity<T>) - largest);
    });
    return sum_lanes<T>(sum);
}

// The same, and the exponentials are kept.
template <class T>
PYBP_INLINE T row_exp(const T* x, T largest, T* y, std::ptrdiff_t count) {
    V<T> sum = {};
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> e = exp<T>(keep_or(load(x + i, head), head, -kInfinity<T>) - largest);
        store(y + i, e, head);
        sum = sum + e;
    });
    return sum_lanes<T>(sum);
}

template <class T>
PYBP_INLINE T scalar_log(T x) {
    return log<T>(broadcast(x))[0];
}

// y = softmax(x), or its logarithm.
template <class T>
void softmax_row(bool log, const T* x, T* y, std::ptrdiff_t count) {
    const T largest = row_max(x, count);
    if (log) {
        const T log_sum = scalar_log(row_exp_sum(x, largest, count));
        for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
            store(y + i, (load(x + i, head) - largest) - log_sum, head);
        });
        return;
    }
    const T sum = row_exp(x, largest, y, count);
    for_each_vector<T>(
        count, [&](std::ptrdiff_t i, auto head) { store(y + i, load(y + i, head) / sum, head); });
}

// The gradient of either, dx = y (dy - sum(dy y)) or dy - exp(y) sum(dy).
template <class T>
void softmax_grad_row(bool log, const T* y, const T* dy, T* dx, std::ptrdiff_t count) {
    V<T> sums = {};
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        sums = sums + (log ? load(dy + i, head) : load(dy + i, head) * load(y + i, head));
    });
    const T sum = sum_lanes<T>(sums);
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> value = load(y + i, head);
        const V<T> slope = load(dy + i, head);
        store(dx + i, log ? slope - exp<T>(value) * sum : value * (slope - sum), head);
    });
}

// One vector of neighbouring columns of a [size, stride] matrix: the softmax runs down the columns.
template <class T, class HeadType>
void softmax_columns(bool log, const T* x, T* y, std::ptrdiff_t size, std::ptrdiff_t stride,
                     HeadType head) {
    V<T> largest = load(x, head);
    for (std::ptrdiff_t k = 1; k < size; ++k) {
        largest = larger<T>(load(x + k * stride, head), largest);
    }
    V<T> sum = {};
    for (std::ptrdiff_t k = 0; k < size; ++k) {
        const V<T> shifted = load(x + k * stride, head) - largest;
        const V<T> e = exp<T>(shifted);
        store(y + k * stride, log ? shifted : e, head);
        sum = sum + e;
    }
    const V<T> log_sum = pybp::log<T>(sum);
    for (std::ptrdiff_t k = 0; k < size; ++k) {
        T* out = y + k * stride;
        store(out, log ? load(out, head) - log_sum : load(out, head) / sum, head);
    }
}

template <class T, class HeadType>
void softmax_grad_columns(bool log, const T* y, const T* dy, T* dx, std::ptrdiff_t size,
                          std::ptrdiff_t stride, HeadType head) {
    V<T> sum = {};
    for (std::ptrdiff_t k = 0; k < size; ++k) {
        const V<T> slope = load(dy + k * stride, head);
        sum = sum + (log ? slope : slope * load(y + k * stride, head));
    }
    for (std::ptrdiff_t k = 0; k < size; ++k) {
        const V<T> value = load(y + k * stride, head);
        const V<T> slope = load(dy + k * stride, head);
        store(dx + k * stride, log ? slope - exp<T>(value) * sum : value * (slope - sum), head);
    }
}

}  // namespace
}  // namespace pybp
