// The vector type of the ISA level this file is compiled for, and the few operations that the
// vector extensions of GCC and Clang don't spell: partial loads and stores, square root, 2^n.
//
// Everything is in an anonymous namespace on purpose: each level's object has its own copies, so
// the linker can never keep an AVX-512 copy for code that runs on an older processor.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define PYBP_INLINE [[gnu::always_inline]] inline

namespace pybp {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct SimdOf;

template <>
struct SimdOf<float> {
    using Vector [[gnu::vector_size(kVectorBytes)]] = float;
    using Unaligned [[gnu::vector_size(kVectorBytes), gnu::aligned(4), gnu::may_alias]] = float;
    using Bits [[gnu::vector_size(kVectorBytes)]] = std::uint32_t;
    using Integers [[gnu::vector_size(kVectorBytes)]] = std::int32_t;
};

template <>
struct SimdOf<double> {
    using Vector [[gnu::vector_size(kVectorBytes)]] = double;
    using Unaligned [[gnu::vector_size(kVectorBytes), gnu::aligned(8), gnu::may_alias]] = double;
    using Bits [[gnu::vector_size(kVectorBytes)]] = std::uint64_t;
    using Integers [[gnu::vector_size(kVectorBytes)]] = std::int64_t;
};

template <class T>
using V = typename SimdOf<T>::Vector;
template <class T>
using Bits = typename SimdOf<T>::Bits;
template <class T>
using Integers = typename SimdOf<T>::Integers;

template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
PYBP_INLINE V<T> load(const T* p) {
    return *reinterpret_cast<const typename SimdOf<T>::Unaligned*>(p);
}

template <class T>
PYBP_INLINE void store(T* p, V<T> x) {
    *reinterpret_cast<typename SimdOf<T>::Unaligned*>(p) = x;
}

template <class T>
PYBP_INLINE V<T> broadcast(T x) {
    return x - V<T>{};  // not {} + x, which would turn -0 into 0
}

// The first 1 ... kLanes lanes of a vector. Loads give 0 in the other lanes; nothing past the
// range is read or written.
template <class T>
struct Head;

#if defined(__AVX512F__)

template <>
struct Head<float> {
    __mmask16 mask;
    explicit Head(std::ptrdiff_t count)
        : mask(static_cast<__mmask16>(0xffffu >> (kLanes<float> - count))) {}
};
template <>
struct Head<double> {
    __mmask8 mask;
    explicit Head(std::ptrdiff_t count)
        : mask(static_cast<__mmask8>(0xffu >> (kLanes<double> - count))) {}
};
PYBP_INLINE V<float> load(const float* p, Head<float> head) {
    return (V<float>)_mm512_maskz_loadu_ps(head.mask, p);
}
PYBP_INLINE V<double> load(const double* p, Head<double> head) {
    return (V<double>)_mm512_maskz_loadu_pd(head.mask, p);
}
PYBP_INLINE void store(float* p, V<float> x, Head<float> head) {
    _mm512_mask_storeu_ps(p, head.mask, (__m512)x);
}
PYBP_INLINE void store(double* p, V<double> x, Head<double> head) {
    _mm512_mask_storeu_pd(p, head.mask, (__m512d)x);
}

#elif defined(__AVX2__)

template <>
struct Head<float> {
    __m256i mask;
    std::ptrdiff_t count;
    explicit Head(std::ptrdiff_t count)
        : mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
          count(count) {}
};
template <>
struct Head<double> {
    __m256i mask;
    std::ptrdiff_t count;
    explicit Head(std::ptrdiff_t count)
        : mask(_mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3))),
          count(count) {}
};
PYBP_INLINE V<float> load(const float* p, Head<float> head) {
    return (V<float>)_mm256_maskload_ps(p, head.mask);
}
PYBP_INLINE V<double> load(const double* p, Head<double> head) {
    return (V<double>)_mm256_maskload_pd(p, head.mask);
}
// In pieces, since a store under a mask takes AMD's processors a dozen cycles.
PYBP_INLINE void store(float* p, V<float> x, Head<float> head) {
    if (head.count == kLanes<float>) return store(p, x);
    __m128 piece = _mm256_castps256_ps128((__m256)x);
    if (head.count & 4) {
        _mm_storeu_ps(p, piece);
        piece = _mm256_extractf128_ps((__m256)x, 1);
        p += 4;
    }
    if (head.count & 2) {
        _mm_storel_pi(reinterpret_cast<__m64*>(p), piece);
        piece = _mm_movehl_ps(piece, piece);
        p += 2;
    }
    if (head.count & 1) _mm_store_ss(p, piece);
}
PYBP_INLINE void store(double* p, V<double> x, Head<double> head) {
    if (head.count == kLanes<double>) return store(p, x);
    __m128d piece = _mm256_castpd256_pd128((__m256d)x);
    if (head.count & 2) {
        _mm_storeu_pd(p, piece);
        piece = _mm256_extractf128_pd((__m256d)x, 1);
        p += 2;
    }
    if (head.count & 1) _mm_store_sd(p, piece);
}

#else  // 16-byte vectors without masks: lane by lane at the edge

template <class T>
struct Head {
    std::ptrdiff_t count;
    explicit Head(std::ptrdiff_t count) : count(count) {}
};
template <class T>
PYBP_INLINE V<T> load(const T* p, Head<T> head) {
    if (head.count == kLanes<T>) return load(p);
    V<T> x = {};
    x[0] = p[0];
    if constexpr (kLanes<T> == 4) {
        if (head.count > 1) x[1] = p[1];
        if (head.count > 2) x[2] = p[2];
    }
    return x;
}
template <class T>
PYBP_INLINE void store(T* p, V<T> x, Head<T> head) {
    if (head.count == kLanes<T>) return store(p, x);
    p[0] = x[0];
    if constexpr (kLanes<T> == 4) {
        if (head.count > 1) p[1] = x[1];
        if (head.count > 2) p[2] = x[2];
    }
}

#endif

// Square root, correctly rounded.
#if defined(__AVX512F__)
// The masked forms, since GCC 12 warns of an uninitialised variable inside the plain ones.
PYBP_INLINE V<float> sqrt(V<float> x) { return (V<float>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x); }
PYBP_INLINE V<double> sqrt(V<double> x) {
    return (V<double>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
}
#elif defined(__AVX2__)
PYBP_INLINE V<float> sqrt(V<float> x) { return (V<float>)_mm256_sqrt_ps((__m256)x); }
PYBP_INLINE V<double> sqrt(V<double> x) { return (V<double>)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__SSE2__)
PYBP_INLINE V<float> sqrt(V<float> x) { return (V<float>)_mm_sqrt_ps((__m128)x); }
PYBP_INLINE V<double> sqrt(V<double> x) { return (V<double>)_mm_sqrt_pd((__m128d)x); }
#elif defined(__aarch64__)
PYBP_INLINE V<float> sqrt(V<float> x) { return (V<float>)vsqrtq_f32((float32x4_t)x); }
PYBP_INLINE V<double> sqrt(V<double> x) { return (V<double>)vsqrtq_f64((float64x2_t)x); }
#else
PYBP_INLINE V<float> sqrt(V<float> x) {
    for (int i = 0; i < kLanes<float>; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
}
PYBP_INLINE V<double> sqrt(V<double> x) {
    for (int i = 0; i < kLanes<double>; ++i) x[i] = __builtin_sqrt(x[i]);
    return x;
}
#endif

// Lane i of the result is lane i + kBy of x, round the end.
template <int... kLane>
struct LaneList {};
template <int kCount, int... kLane>
struct LanesUpTo : LanesUpTo<kCount - 1, kCount - 1, kLane...> {};
template <int... kLane>
struct LanesUpTo<0, kLane...> {
    using List = LaneList<kLane...>;
};
template <class T, int kBy, int... kLane>
PYBP_INLINE V<T> rotate(V<T> x, LaneList<kLane...>) {
    return __builtin_shufflevector(x, x, ((kLane + kBy) % kLanes<T>)...);
}

// All lanes joined by f, as a tree whose shape is fixed by the level; each lane holds the result.
template <class T, int kWidth = kLanes<T> / 2, class F>
PYBP_INLINE V<T> join_lanes(V<T> x, F f) {
    if constexpr (kWidth == 0) {
        return x;
    } else {
        const V<T> other = rotate<T, kWidth>(x, typename LanesUpTo<kLanes<T>>::List{});
        return join_lanes<T, kWidth / 2>(f(x, other), f);
    }
}

template <class T>
PYBP_INLINE T sum_lanes(V<T> x) {
    return join_lanes<T>(x, [](V<T> a, V<T> b) { return a + b; })[0];
}

// A stand-in for Head where the vector is whole.
template <class T>
struct Whole {};
template <class T>
PYBP_INLINE V<T> load(const T* p, Whole<T>) {
    return load(p);
}
template <class T>
PYBP_INLINE void store(T* p, V<T> x, Whole<T>) {
    store(p, x);
}

// x in the lanes of the range, `other` past it.
#if defined(__AVX512F__)
PYBP_INLINE V<float> keep_or(V<float> x, Head<float> head, float other) {
    return (V<float>)_mm512_mask_mov_ps((__m512)broadcast(other), head.mask, (__m512)x);
}
PYBP_INLINE V<double> keep_or(V<double> x, Head<double> head, double other) {
    return (V<double>)_mm512_mask_mov_pd((__m512d)broadcast(other), head.mask, (__m512d)x);
}
#elif defined(__AVX2__)
PYBP_INLINE V<float> keep_or(V<float> x, Head<float> head, float other) {
    return (V<float>)_mm256_blendv_ps((__m256)broadcast(other), (__m256)x, (__m256)head.mask);
}
PYBP_INLINE V<double> keep_or(V<double> x, Head<double> head, double other) {
    return (V<double>)_mm256_blendv_pd((__m256d)broadcast(other), (__m256d)x, (__m256d)head.mask);
}
#else
template <class T>
PYBP_INLINE V<T> keep_or(V<T> x, Head<T> head, T other) {
    for (int lane = 0; lane < kLanes<T>; ++lane) x[lane] = lane < head.count ? x[lane] : other;
    return x;
}
#endif
template <class T>
PYBP_INLINE V<T> keep_or(V<T> x, Whole<T>, T) {
    return x;
}

// Calls f(offset, head) for each vector of a range: whole vectors first, then the rest.
template <class T, class F>
PYBP_INLINE void for_each_vector(std::ptrdiff_t count, F f) {
    std::ptrdiff_t i = 0;
    for (; i + kLanes<T> <= count; i += kLanes<T>) f(i, Whole<T>{});
    if (i < count) f(i, Head<T>(count - i));
}

}  // namespace
}  // namespace pybp
