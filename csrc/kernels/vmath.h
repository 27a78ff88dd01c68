// Elementary functions on vectors. Error bounds: docs/numerics.md, tested in tests/kernels.
//
// The series are written as such (1/n!, 2/(2n+1)): on the reduced ranges they fall so fast that
// fitted coefficients would save one term. All functions take and give +-inf and NaN as the scalar
// functions of <math.h> do, and keep the sign of 0 where those do.
#pragma once

#include "simd.h"

namespace pybp {
namespace {

template <class T>
struct FloatFormat;

template <>
struct FloatFormat<float> {
    static constexpr int kFractionBits = 23;
    static constexpr int kBias = 127;
    static constexpr float kRound = 0x1.8p23f;  // x + kRound - kRound is x rounded to an integer
    static constexpr float kMaxExp = 89.0f;     // exp is inf above
    static constexpr float kMinExp = -104.0f;   // exp is 0 below
    static constexpr float kMinExpm1 = -20.0f;  // expm1 is -1 below
    static constexpr float kMaxTanh = 10.0f;    // tanh is 1 above
    static constexpr float kSmallest = 0x1p-126f;
    static constexpr float kLn2High = 0x1.62e4p-1f;  // 15 bits, so that n * kLn2High is exact
    static constexpr float kLn2Low = 0x1.7f7d1cf79abcap-20f;
    static constexpr int kExpTerms = 7;
    static constexpr int kLogTerms = 5;
    static constexpr std::uint32_t kSqrtHalf = 0x3f3504f3u;
    static constexpr std::uint32_t kMagnitude = 0x7fffffffu;  // all bits but the sign
};

template <>
struct FloatFormat<double> {
    static constexpr int kFractionBits = 52;
    static constexpr int kBias = 1023;
    static constexpr double kRound = 0x1.8p52;
    static constexpr double kMaxExp = 710.0;
    static constexpr double kMinExp = -746.0;
    static constexpr double kMinExpm1 = -40.0;
    static constexpr double kMaxTanh = 22.0;
    static constexpr double kSmallest = 0x1p-1022;
    static constexpr double kLn2High = 0x1.62e42fefa38p-1;  // 41 bits
    static constexpr double kLn2Low = 0x1.ef35793c7673p-45;
    static constexpr int kExpTerms = 13;
    static constexpr int kLogTerms = 10;
    static constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcdu;
    static constexpr std::uint64_t kMagnitude = 0x7fffffffffffffffu;
};

template <class T>
PYBP_INLINE V<T> min(V<T> x, T limit) {  // NaN stays NaN
    return x > limit ? broadcast(limit) : x;
}
template <class T>
PYBP_INLINE V<T> max(V<T> x, T limit) {
    return x < limit ? broadcast(limit) : x;
}
// The larger of two; NaN if either is.
template <class T>
PYBP_INLINE V<T> larger(V<T> x, V<T> y) {
    return ((x > y) | (x != x)) ? x : y;
}
template <class T>
PYBP_INLINE V<T> abs(V<T> x) {
    return (V<T>)((Bits<T>)x & FloatFormat<T>::kMagnitude);
}
template <class T>
PYBP_INLINE V<T> copy_sign(V<T> magnitude, V<T> sign) {
    constexpr auto kMagnitude = FloatFormat<T>::kMagnitude;
    return (V<T>)(((Bits<T>)magnitude & kMagnitude) | ((Bits<T>)sign & ~kMagnitude));
}

template <class T>
constexpr T kInfinity = static_cast<T>(__builtin_inf());
template <class T>
constexpr T kNaN = static_cast<T>(__builtin_nan(""));

template <class T>
PYBP_INLINE V<T> round(V<T> x) {
    return (x + FloatFormat<T>::kRound) - FloatFormat<T>::kRound;
}

// 2^n for whole n from the exponent range of normal numbers. Whole numbers and floating-point ones
// are turned into each other by adding kRound, whose last bits are then the whole number: for 64
// bits most levels have no instruction for it.
template <class T>
PYBP_INLINE V<T> power_of_two(V<T> n) {
    using F = FloatFormat<T>;
    return (V<T>)(((Bits<T>)(n + F::kRound) + F::kBias) << F::kFractionBits);
}

// 1/n!. A table, since compilers leave a function of the loop variable in the loop.
struct InverseFactorials {
    double at[14] = {1};

    constexpr InverseFactorials() {
        for (int n = 1; n < 14; ++n) at[n] = at[n - 1] / n;
    }
};
constexpr InverseFactorials kInverseFactorials;

// x = n ln 2 + r with |r| <= ln(2) / 2, and e^r - 1 - r by its series.
template <class T>
struct ExpParts {
    V<T> n;
    V<T> r;
    V<T> rest;
};

// `less` is taken off x and may be smaller than an ulp of it.
template <class T>
PYBP_INLINE ExpParts<T> exp_parts(V<T> x, V<T> less = V<T>{}) {
    using F = FloatFormat<T>;
    ExpParts<T> parts;
    parts.n = round<T>((x - less) * static_cast<T>(1.44269504088896340736));
    V<T> r = x - parts.n * F::kLn2High;
    r = r - parts.n * F::kLn2Low;
    r = r - less;
    V<T> series = broadcast(static_cast<T>(kInverseFactorials.at[F::kExpTerms]));
#pragma GCC unroll 16
    for (int i = F::kExpTerms - 1; i >= 2; --i) {
        series = series * r + static_cast<T>(kInverseFactorials.at[i]);
    }
    parts.r = r;
    parts.rest = series * r * r;
    return parts;
}

template <class T>
PYBP_INLINE V<T> exp(V<T> x) {
    using F = FloatFormat<T>;
    const ExpParts<T> parts = exp_parts<T>(max<T>(min<T>(x, F::kMaxExp), F::kMinExp));
    const V<T> value = (parts.r + parts.rest) + T{1};
    // 2^n in two factors: alone it would leave the normal range at both ends.
    const V<T> half = round<T>(parts.n * T{0.5});
    return value * power_of_two<T>(half) * power_of_two<T>(parts.n - half);
}

template <class T>
PYBP_INLINE V<T> expm1(V<T> x) {
    using F = FloatFormat<T>;
    const ExpParts<T> parts = exp_parts<T>(max<T>(min<T>(x, F::kMaxExp), F::kMinExpm1));
    const V<T> small = parts.r + parts.rest;
    // Half of 2^n, which is infinite for the largest n.
    const V<T> half = power_of_two<T>(parts.n - T{1});
    const V<T> value = (parts.rest * half + (parts.r * half + (half - T{0.5}))) * T{2};
    return x == T{0} ? x : parts.n == T{0} ? small : value;
}

// log(2^e (1 + f)) + correction, for 1 + f in [sqrt(1/2), sqrt(2)).
template <class T>
PYBP_INLINE V<T> log_parts(V<T> e, V<T> f, V<T> correction) {
    using F = FloatFormat<T>;
    // With s = f / (2 + f): log(1 + f) = 2 artanh(s) = f - s f + s R(s^2), and s f = f^2/2 - s
    // f^2/2.
    const V<T> s = f / (f + T{2});
    const V<T> z = s * s;
    V<T> series = broadcast(static_cast<T>(2.0 / (2 * F::kLogTerms + 1)));
#pragma GCC unroll 16
    for (int i = F::kLogTerms - 1; i >= 1; --i) {
        series = series * z + static_cast<T>(2.0 / (2 * i + 1));
    }
    const V<T> square = f * f * T{0.5};
    const V<T> low = s * (square + series * z) + (e * F::kLn2Low + correction);
    return e * F::kLn2High - ((square - low) - f);
}

// Splits a positive normal x into 2^e (1 + f).
template <class T>
PYBP_INLINE void split_exponent(V<T> x, V<T>& e, V<T>& f) {
    using F = FloatFormat<T>;
    constexpr auto kOne = static_cast<decltype(F::kSqrtHalf)>(F::kBias) << F::kFractionBits;
    const auto biased = ((Bits<T>)x - F::kSqrtHalf + kOne) >> F::kFractionBits;  // e + kBias
    e = (V<T>)(biased + (Bits<T>)broadcast(F::kRound)) - (F::kRound + F::kBias);
    f = (V<T>)((Bits<T>)x - ((biased - F::kBias) << F::kFractionBits)) - T{1};
}

template <class T>
PYBP_INLINE V<T> log(V<T> x) {
    using F = FloatFormat<T>;
    const auto denormal = x < F::kSmallest;
    const T scale = static_cast<T>(static_cast<std::uint64_t>(1) << F::kFractionBits);
    V<T> e;
    V<T> f;
    split_exponent<T>(denormal ? x * scale : x, e, f);
    e = denormal ? e - static_cast<T>(F::kFractionBits) : e;
    V<T> y = log_parts<T>(e, f, V<T>{});
    y = x < kInfinity<T> ? y : x;  // inf and NaN
    y = x == T{0} ? broadcast(-kInfinity<T>) : y;
    return x < T{0} ? broadcast(kNaN<T>) : y;
}

template <class T>
PYBP_INLINE V<T> log1p(V<T> x) {
    const V<T> u = x + T{1};
    V<T> e;
    V<T> f;
    split_exponent<T>(u, e, f);
    // What the rounding of 1 + x lost.
    const V<T> lost = x > T{1} ? T{1} - (u - x) : x - (u - T{1});
    V<T> y = log_parts<T>(e, f, lost / u);
    y = x < kInfinity<T> ? y : x;
    y = x == T{0} ? x : y;
    y = x == T{-1} ? broadcast(-kInfinity<T>) : y;
    return x < T{-1} ? broadcast(kNaN<T>) : y;
}

// e is expm1(2 |x|), to its bits: no exponent here leaves the normal range.
template <class T>
PYBP_INLINE V<T> tanh(V<T> x) {
    const ExpParts<T> parts = exp_parts<T>(min<T>(abs<T>(x), FloatFormat<T>::kMaxTanh) * T{2});
    const V<T> power = power_of_two<T>(parts.n);
    const V<T> e = parts.rest * power + (parts.r * power + (power - T{1}));
    return copy_sign<T>(e / (e + T{2}), x);
}

template <class T>
PYBP_INLINE V<T> sigmoid(V<T> x) {
    const V<T> e = exp<T>(-abs<T>(x));
    return (x < T{0} ? e : broadcast(T{1})) / (e + T{1});
}

// log(1 + e^x)
template <class T>
PYBP_INLINE V<T> softplus(V<T> x) {
    return max<T>(x, T{0}) + log1p<T>(exp<T>(-abs<T>(x)));
}

// The tail of the normal distribution beside e^(-a^2 / 2): for a >= 0,
// e^(a^2 / 2) Phi(-a) (a + kShift) is smooth up to infinity, a polynomial in
// u = kScale a / (a + kShift) - 1, which runs from -1 to 1 on [0, kEnd]; Phi(-kEnd) is 0. The
// coefficients (constant first) interpolate at the Chebyshev points, computed with 35 digits; with
// their own rounding they are off by 9.7e-9 (4.7e-17) of the function.
template <class T>
struct NormalTail;

template <>
struct NormalTail<float> {
    static constexpr float kEnd = 14.5f;
    static constexpr float kShift = 3.0625f;
    static constexpr float kScale = 2.42241383f;
    static constexpr std::uint32_t kHighHalf = 0xfffff000u;  // 12 bits, so that a square is exact
    static constexpr int kDegree = 10;
    static constexpr float kSeries[kDegree + 1] = {
        0.829150736f,     -0.500617206f,   0.183090821f,    -0.026803134f,
        -0.00661786227f,  0.00245079189f,  0.000532992824f, -0.000199436065f,
        -7.17218354e-05f, 1.17207273e-05f, 7.75823992e-06f};
};

template <>
struct NormalTail<double> {
    static constexpr double kEnd = 39.0;
    static constexpr double kShift = 4.0;
    static constexpr double kScale = 2.2051282051282053;
    static constexpr std::uint64_t kHighHalf = 0xfffffffff8000000u;  // 26 bits
    static constexpr int kDegree = 22;
    static constexpr double kSeries[kDegree + 1] = {
        0.81533839684251697,     -0.62124410222472537,    0.3639067368270385,
        -0.15636995546794347,    0.042906326776941985,    -0.0032588461900461352,
        -0.0025014590567395403,  0.00073742089195659433,  0.00014720806298855062,
        -8.8470179192667037e-05, -1.362229305586182e-05,  1.0463933801882695e-05,
        2.1840187273799871e-06,  -1.2139794559976518e-06, -4.3539719881032836e-07,
        1.1529029066484287e-07,  8.3896026297931584e-08,  -3.3023059595427674e-09,
        -1.3774221944487085e-08, -1.5639787323954465e-09, 1.6816218925637474e-09,
        2.6357762811241026e-10,  -1.1266701221127159e-10};
};

template <class T>
struct NormalParts {
    V<T> cdf;
    V<T> density;
};

// The normal distribution function and its slope, from one exponential.
template <class T>
PYBP_INLINE NormalParts<T> normal_parts(V<T> x) {
    using Tail = NormalTail<T>;
    const V<T> a = min<T>(abs<T>(x), Tail::kEnd);
    // a^2 / 2 in two parts: its rounding alone would be hundreds of ulp of e^(-a^2 / 2) far out.
    const V<T> high = (V<T>)((Bits<T>)a & Tail::kHighHalf);
    const V<T> low = (a - high) * (a + high) * T{0.5};
    const ExpParts<T> parts = exp_parts<T>(high * high * T{-0.5}, low);
    const V<T> w = T{1} / (a + Tail::kShift);
    const V<T> u = a * w * Tail::kScale - T{1};
    V<T> series = broadcast(Tail::kSeries[Tail::kDegree]);
#pragma GCC unroll 32
    for (int i = Tail::kDegree - 1; i >= 0; --i) series = series * u + Tail::kSeries[i];
    const V<T> half = round<T>(parts.n * T{0.5});
    const V<T> first = power_of_two<T>(half);
    const V<T> second = power_of_two<T>(parts.n - half);
    // times e^r = 1 + rest, without the rounding of that sum
    const V<T> rest = parts.r + parts.rest;
    const V<T> ratio = series * w;
    const V<T> tail = (ratio * rest + ratio) * first * second;
    constexpr T kPeak = static_cast<T>(0.39894228040143267794);  // 1 / sqrt(2 pi)
    const V<T> density = (rest * kPeak + kPeak) * first * second;
    return {x > T{0} ? T{1} - tail : tail, density};
}

template <class T>
PYBP_INLINE V<T> normal_cdf(V<T> x) {
    return normal_parts<T>(x).cdf;
}

}  // namespace
}  // namespace pybp
