// The slope of an activation below an op whose output is its output too: three variants are worth a
// loop of their own.
#pragma once

#include "activations.h"

namespace pybp {
namespace {

// Any activation: chosen anew for every vector, which only the rare ones pay.
template <class T>
[[gnu::noinline]] void any_slope(Activation function, T alpha, const V<T>& y, V<T>& slope) {
    with_activation(function,
                    [&](auto f) { slope = f.template slope<T>(y, Parameters<T>{alpha, T{0}}); });
}

// dy * slope, for vectors at an offset. y is not read by NoSlope.
struct NoSlope {
    template <class T, class HeadType>
    PYBP_INLINE V<T> operator()(const T* dy, const T*, std::ptrdiff_t i, HeadType head) const {
        return load(dy + i, head);
    }
};
struct ReLUSlope {
    template <class T, class HeadType>
    PYBP_INLINE V<T> operator()(const T* dy, const T* y, std::ptrdiff_t i, HeadType head) const {
        return load(dy + i, head) * ReLU::slope<T>(load(y + i, head), {});
    }
};
template <class T>
struct AnySlope {
    Activation function;
    T alpha;
    template <class HeadType>
    PYBP_INLINE V<T> operator()(const T* dy, const T* y, std::ptrdiff_t i, HeadType head) const {
        V<T> slope;
        any_slope(function, alpha, load(y + i, head), slope);
        return load(dy + i, head) * slope;
    }
};

// Calls f(gradient) with one of the three.
template <class T, class F>
PYBP_INLINE void with_slope(bool present, Activation function, T alpha, F f) {
    if (!present) return f(NoSlope{});
    if (function == Activation::relu) return f(ReLUSlope{});
    f(AnySlope<T>{function, alpha});
}

}  // namespace
}  // namespace pybp
