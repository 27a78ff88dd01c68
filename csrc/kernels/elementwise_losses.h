// The losses of single elements: value and slope of prediction p and target t, as defined in
// pybp/backends/numpy_losses.py.
#pragma once

#include "../kernel_table.h"
#include "vmath.h"

namespace pybp {
namespace {

template <class T>
struct LossTerm {
    V<T> loss;
    V<T> slope;
};

// -1, 0 or 1; NaN stays.
template <class T>
PYBP_INLINE V<T> sign(V<T> x) {
    return x > T{0} ? broadcast(T{1}) : x < T{0} ? broadcast(T{-1}) : x;
}

struct Squared {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> error = p - t;
        return {error * error, error * T{2}};
    }
};

struct Absolute {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> error = p - t;
        return {abs<T>(error), sign<T>(error)};
    }
};

struct Huber {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T delta) {
        const V<T> error = p - t;
        const V<T> size = abs<T>(error);
        const V<T> linear = (size - delta * T{0.5}) * delta;
        return {size <= delta ? error * error * T{0.5} : linear,
                min<T>(max<T>(error, -delta), delta)};
    }
};

struct Quantile {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T q) {
        const V<T> short_by = t - p;
        const V<T> under = short_by * q;
        const V<T> over = short_by * (q - T{1});
        const V<T> slope = short_by < T{0}   ? broadcast(T{1} - q)
                           : short_by > T{0} ? broadcast(-q)
                                             : short_by * T{0};
        return {under > over ? under : over, slope};
    }
};

struct BCE {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> log_p = max<T>(log<T>(p), T{-100});
        const V<T> log_q = max<T>(log1p<T>(-p), T{-100});
        const V<T> variance = max<T>(p * (T{1} - p), static_cast<T>(1e-12));
        return {-(t * log_p) - (T{1} - t) * log_q, (p - t) / variance};
    }
};

struct KLDiv {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> safe = t == T{0} ? broadcast(T{1}) : t;
        return {t * (log<T>(safe) - p), -t};
    }
};

struct KLDivLog {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> e = exp<T>(t);
        return {e * (t - p), -e};
    }
};

struct PoissonLog {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T) {
        const V<T> e = exp<T>(p);
        return {e - t * p, e - t};
    }
};

struct PoissonRate {
    template <class T>
    PYBP_INLINE static LossTerm<T> at(V<T> p, V<T> t, T eps) {
        const V<T> rate = p + eps;
        return {p - t * log<T>(rate), T{1} - t / rate};
    }
};

// Stirling's approximation of log(t!), for t > 1.
template <class T>
PYBP_INLINE V<T> stirling(V<T> t) {
    const V<T> safe = max<T>(t, T{1});
    const V<T> value =
        t * log<T>(safe) - t + log<T>(safe * static_cast<T>(6.28318530717958647693)) * T{0.5};
    return t > T{1} ? value : V<T>{};
}

// Calls f with the function object of a loss.
template <class F>
PYBP_INLINE void with_loss(LossFunction function, F f) {
    switch (function) {
        case LossFunction::squared:
            return f(Squared{});
        case LossFunction::absolute:
            return f(Absolute{});
        case LossFunction::huber:
            return f(Huber{});
        case LossFunction::quantile:
            return f(Quantile{});
        case LossFunction::bce:
            return f(BCE{});
        case LossFunction::kl_div:
            return f(KLDiv{});
        case LossFunction::kl_div_log:
            return f(KLDivLog{});
        case LossFunction::poisson_log:
            return f(PoissonLog{});
        case LossFunction::poisson_rate:
            return f(PoissonRate{});
    }
}

}  // namespace
}  // namespace pybp
