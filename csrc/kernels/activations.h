// The activations and their slopes, one function object each, on one vector at a time. A slope
// takes the output where pybp/program/activations.py says so, else the input. The definition is
// pybp/backends/numpy_activations.py.
#pragma once

#include "../kernel_table.h"
#include "vmath.h"

namespace pybp {
namespace {

template <class T>
struct Parameters {
    T alpha;
    T beta;
};

template <class T>
PYBP_INLINE V<T> one_or_zero(Integers<T> one) {
    return one ? broadcast(T{1}) : V<T>{};
}

// x * weight(x) for a weight that falls to 0 faster than x grows: the limit at -inf is -0, not NaN.
template <class T>
PYBP_INLINE V<T> weighted(V<T> x, V<T> weight) {
    return x == -kInfinity<T> ? broadcast(T{-0.0}) : x * weight;
}

// Where x * f(x) has passed to its limit in the last bit; keeps squares of x finite.
constexpr double kSaturated = 100.0;

struct Identity {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return x;
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T>, Parameters<T>) {
        return broadcast(T{1});
    }
};

struct ReLU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return max<T>(x, T{0});
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> y, Parameters<T>) {
        return one_or_zero<T>(y > T{0});
    }
};

struct StraightThroughReLU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return ReLU::value<T>(x, p);
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T>, Parameters<T>) {
        return broadcast(T{1});
    }
};

struct LeakyReLU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return x > T{0} ? x : x * p.alpha;
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> y, Parameters<T> p) {
        return y > T{0} ? broadcast(T{1}) : broadcast(p.alpha);
    }
};

struct Sigmoid {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return sigmoid<T>(x * p.alpha);
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> y, Parameters<T> p) {
        return (y * p.alpha) * (T{1} - y);
    }
};

struct Tanh {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return tanh<T>(x);
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> y, Parameters<T>) {
        return T{1} - y * y;
    }
};

struct ELU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return x > T{0} ? x : expm1<T>(min<T>(x, T{0})) * p.alpha;
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T> p) {
        return x > T{0} ? broadcast(T{1}) : exp<T>(min<T>(x, T{0})) * p.alpha;
    }
};

// Klambauer et al. 2017, self-normalising networks.
struct SELU {
    static constexpr double kAlpha = 1.6732632423543772848170429916717;
    static constexpr double kScale = 1.0507009873554804934193349852946;

    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return ELU::value<T>(x, {static_cast<T>(kAlpha), T{0}}) * static_cast<T>(kScale);
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        return ELU::slope<T>(x, {static_cast<T>(kAlpha), T{0}}) * static_cast<T>(kScale);
    }
};

struct GELU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return weighted<T>(x, normal_cdf<T>(x));
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        const NormalParts<T> normal = normal_parts<T>(x);
        return normal.cdf + max<T>(min<T>(x, T{kSaturated}), T{-kSaturated}) * normal.density;
    }
};

// GELU with the normal distribution function by tanh (Hendrycks and Gimpel 2016).
struct GELUTanh {
    static constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)
    static constexpr double kCubic = 0.044715;

    // (1 + tanh(z)) / 2 is sigmoid(2 z), which keeps its precision on the left.
    template <class T>
    PYBP_INLINE static V<T> cdf(V<T> bounded) {
        const V<T> inner = bounded * bounded * static_cast<T>(kRoot * kCubic);
        return sigmoid<T>(bounded * (inner + static_cast<T>(kRoot)) * T{2});
    }
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return weighted<T>(x, cdf<T>(max<T>(min<T>(x, T{kSaturated}), T{-kSaturated})));
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        const V<T> bounded = max<T>(min<T>(x, T{kSaturated}), T{-kSaturated});
        const V<T> y = cdf<T>(bounded);
        const V<T> inner =
            bounded * bounded * static_cast<T>(3 * kRoot * kCubic) + static_cast<T>(kRoot);
        return y + bounded * (y * (T{1} - y)) * inner * T{2};
    }
};

struct SiLU {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return weighted<T>(x, sigmoid<T>(x));
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        const V<T> e = exp<T>(-abs<T>(x));
        const V<T> y = (x < T{0} ? e : broadcast(T{1})) / (e + T{1});
        const V<T> bounded = max<T>(min<T>(x, T{1000}), T{-1000});  // e is 0 beyond
        return y + bounded * (e / ((e + T{1}) * (e + T{1})));
    }
};

// x tanh(log(1 + e^x)), where tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2).
struct Mish {
    static constexpr double kOne = 25.0;  // from here on the tanh is 1

    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        const V<T> e = exp<T>(min<T>(x, T{kOne}));
        const V<T> n = e * (e + T{2});
        return weighted<T>(x, n / (n + T{2}));
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        const V<T> bounded = max<T>(min<T>(x, T{kOne}), T{-1000});  // e is 0 below
        const V<T> e = exp<T>(bounded);
        const V<T> n = e * (e + T{2});
        const V<T> d = n + T{2};
        // tanh' = 1 - tanh^2 = 4 (1 + e)^2 / d^2, times sigmoid = e / (1 + e)
        return n / d + bounded * ((e * T{4} / d) * ((e + T{1}) / d));
    }
};

struct Softplus {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return softplus<T>(x * p.alpha) / p.alpha;
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T> p) {
        return sigmoid<T>(x * p.alpha);
    }
};

struct Softsign {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return x / (abs<T>(x) + T{1});
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        const V<T> d = abs<T>(x) + T{1};
        return T{1} / d / d;
    }
};

struct HardTanh {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T> p) {
        return min<T>(max<T>(x, p.alpha), p.beta);
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T> p) {
        return one_or_zero<T>((x > p.alpha) & (x < p.beta));
    }
};

struct HardSigmoid {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return min<T>(max<T>(x / T{6} + T{0.5}, T{0}), T{1});
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T> x, Parameters<T>) {
        return ((x > T{-3}) & (x < T{3})) ? broadcast(static_cast<T>(1.0 / 6)) : V<T>{};
    }
};

struct Heaviside {
    template <class T>
    PYBP_INLINE static V<T> value(V<T> x, Parameters<T>) {
        return x == x ? one_or_zero<T>(x > T{0}) : x;
    }
    template <class T>
    PYBP_INLINE static V<T> slope(V<T>, Parameters<T>) {
        return V<T>{};
    }
};

// Calls f with the function object of an activation.
template <class F>
PYBP_INLINE void with_activation(Activation function, F f) {
    switch (function) {
        case Activation::identity:
            return f(Identity{});
        case Activation::relu:
            return f(ReLU{});
        case Activation::straight_through_relu:
            return f(StraightThroughReLU{});
        case Activation::leaky_relu:
            return f(LeakyReLU{});
        case Activation::sigmoid:
            return f(Sigmoid{});
        case Activation::tanh:
            return f(Tanh{});
        case Activation::elu:
            return f(ELU{});
        case Activation::selu:
            return f(SELU{});
        case Activation::gelu:
            return f(GELU{});
        case Activation::gelu_tanh:
            return f(GELUTanh{});
        case Activation::silu:
            return f(SiLU{});
        case Activation::mish:
            return f(Mish{});
        case Activation::softplus:
            return f(Softplus{});
        case Activation::softsign:
            return f(Softsign{});
        case Activation::hard_tanh:
            return f(HardTanh{});
        case Activation::hard_sigmoid:
            return f(HardSigmoid{});
        case Activation::heaviside:
            return f(Heaviside{});
    }
}

}  // namespace
}  // namespace pybp
