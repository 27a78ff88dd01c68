// Numbers of taps as lanes of a vector, and as the bytes or words in which they are kept.
#pragma once

#include "simd.h"

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

namespace pybp {
namespace {

// Bytes [0, count) of p in the low bytes of a word, 1 <= count <= 8.
PYBP_INLINE std::uint64_t load_bytes(const std::uint8_t* p, std::ptrdiff_t count) {
    std::uint64_t word = 0;
    if (count == 8) {
        __builtin_memcpy(&word, p, 8);
        return word;
    }
    const auto at = [&](std::ptrdiff_t from, auto part) {
        __builtin_memcpy(&part, p + from, sizeof part);
        word |= static_cast<std::uint64_t>(part) << (8 * from);
    };
    if (count & 4) at(0, std::uint32_t{});
    if (count & 2) at(count & 4, std::uint16_t{});
    if (count & 1) at(count & 6, std::uint8_t{});
    return word;
}

PYBP_INLINE void store_bytes(std::uint8_t* p, std::uint64_t word, std::ptrdiff_t count) {
    if (count == 8) {
        __builtin_memcpy(p, &word, 8);
        return;
    }
    if (count & 4) __builtin_memcpy(p, &word, 4);
    if (count & 2) {
        const auto part = static_cast<std::uint16_t>(word >> (8 * (count & 4)));
        __builtin_memcpy(p + (count & 4), &part, 2);
    }
    if (count & 1) p[count & 6] = static_cast<std::uint8_t>(word >> (8 * (count & 6)));
}

#if defined(__AVX512F__)

PYBP_INLINE void store_taps(std::uint8_t* p, Integers<float> taps, std::ptrdiff_t count) {
    _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>(0xffffu >> (16 - count)),
                                     (__m512i)taps);
}
PYBP_INLINE void store_taps(std::uint8_t* p, Integers<double> taps, std::ptrdiff_t count) {
    _mm512_mask_cvtepi64_storeu_epi8(p, static_cast<__mmask8>(0xffu >> (8 - count)), (__m512i)taps);
}
// The masked forms of the conversions, since GCC 12 warns inside the plain ones.
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<float>& taps, std::ptrdiff_t count) {
    const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>(0xffffu >> (16 - count)), p);
    taps = (Integers<float>)_mm512_maskz_cvtepu8_epi32(0xffff, bytes);
}
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<double>& taps, std::ptrdiff_t count) {
    const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>(0xffu >> (8 - count)), p);
    taps = (Integers<double>)_mm512_maskz_cvtepu8_epi64(0xff, bytes);
}

#elif defined(__SSE4_1__)

// The low bytes of eight lanes of 32 bits, in two halves.
PYBP_INLINE std::uint64_t narrow(__m128i low, __m128i high) {
    const __m128i shorts = _mm_packs_epi32(low, high);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(shorts, shorts)));
}
// The low halves of four lanes of 64 bits.
PYBP_INLINE __m128i even_words(__m128i low, __m128i high) {
    return (__m128i)_mm_shuffle_ps((__m128)low, (__m128)high, 0x88);
}

#if defined(__AVX2__)
PYBP_INLINE void store_taps(std::uint8_t* p, Integers<float> taps, std::ptrdiff_t count) {
    const auto all = (__m256i)taps;
    const std::uint64_t word =
        narrow(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    store_bytes(p, word, count);
}
PYBP_INLINE void store_taps(std::uint8_t* p, Integers<double> taps, std::ptrdiff_t count) {
    const auto all = (__m256i)taps;
    const __m128i words = even_words(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    store_bytes(p, narrow(words, words), count);
}
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<float>& taps, std::ptrdiff_t count) {
    const auto word = static_cast<long long>(load_bytes(p, count));
    taps = (Integers<float>)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(word));
}
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<double>& taps, std::ptrdiff_t count) {
    const auto word = static_cast<long long>(load_bytes(p, count));
    taps = (Integers<double>)_mm256_cvtepu8_epi64(_mm_cvtsi64_si128(word));
}
#else
PYBP_INLINE void store_taps(std::uint8_t* p, Integers<float> taps, std::ptrdiff_t count) {
    store_bytes(p, narrow((__m128i)taps, (__m128i)taps), count);
}
PYBP_INLINE void store_taps(std::uint8_t* p, Integers<double> taps, std::ptrdiff_t count) {
    const __m128i words = even_words((__m128i)taps, (__m128i)taps);
    store_bytes(p, narrow(words, words), count);
}
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<float>& taps, std::ptrdiff_t count) {
    const auto word = static_cast<long long>(load_bytes(p, count));
    taps = (Integers<float>)_mm_cvtepu8_epi32(_mm_cvtsi64_si128(word));
}
PYBP_INLINE void load_taps(const std::uint8_t* p, Integers<double>& taps, std::ptrdiff_t count) {
    const auto word = static_cast<long long>(load_bytes(p, count));
    taps = (Integers<double>)_mm_cvtepu8_epi64(_mm_cvtsi64_si128(word));
}
#endif

#else

template <class Lanes>
PYBP_INLINE void store_taps(std::uint8_t* p, Lanes taps, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; ++i) p[i] = static_cast<std::uint8_t>(taps[i]);
}
template <class Lanes>
PYBP_INLINE void load_taps(const std::uint8_t* p, Lanes& taps, std::ptrdiff_t count) {
    taps = Lanes{};
    for (std::ptrdiff_t i = 0; i < count; ++i) taps[i] = p[i];
}

#endif

// Windows of more than 256 taps are rare: one by one.
template <class Lanes>
PYBP_INLINE void store_taps(std::int32_t* p, Lanes taps, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 0; i < count; ++i) p[i] = static_cast<std::int32_t>(taps[i]);
}
template <class Lanes>
PYBP_INLINE void load_taps(const std::int32_t* p, Lanes& taps, std::ptrdiff_t count) {
    taps = Lanes{};
    for (std::ptrdiff_t i = 0; i < count; ++i) taps[i] = p[i];
}

}  // namespace
}  // namespace pybp
