// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (2011). Its NumPy
// twin is pybp/random.py.
//
// Element e of a stream uses word e % 4 of the block with
//   counter = (low 32 bits of e / 4, stream, low 32 bits of step, high 32 bits of step)
//   key     = (low 32 bits of seed, high 32 bits of seed)
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd.h"

namespace pybp {
namespace {

constexpr int kPhiloxRounds = 10;
constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9u;  // golden ratio
constexpr std::uint32_t kPhiloxWeyl1 = 0xBB67AE85u;  // sqrt(3) - 1

using Words64 = Bits<double>;  // one word of each block in the low half of a 64-bit lane

// Vectors of blocks that go through the rounds side by side: a round waits for its products.
constexpr int kPhiloxVectors = 4;
constexpr int kPhiloxBlocks = kPhiloxVectors * kLanes<double>;

struct PhiloxStream {
    std::uint64_t seed;
    std::uint32_t stream;
    std::uint64_t step;
};

// The 64-bit products of the low halves; the high halves may hold anything.
PYBP_INLINE Words64 multiply_low(Words64 a, std::uint32_t b) {
#if defined(__AVX512F__)
    // The masked form, since GCC 12 warns of an uninitialised variable inside the plain one.
    return (Words64)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
    return (Words64)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif defined(__SSE2__)
    return (Words64)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(b));
#else
    return (a & std::uint64_t{0xFFFFFFFF}) * std::uint64_t{b};
#endif
}

struct PhiloxBlocks {
    Words64 c[4];
};

// Only low halves count until the end, so nothing is masked between the rounds.
PYBP_INLINE void philox_round(PhiloxBlocks& at, std::uint64_t key0, std::uint64_t key1) {
    const Words64 p0 = multiply_low(at.c[0], kPhiloxMultiplier0);
    const Words64 p1 = multiply_low(at.c[2], kPhiloxMultiplier1);
    at.c[0] = (p1 >> 32) ^ at.c[1] ^ key0;
    at.c[2] = (p0 >> 32) ^ at.c[3] ^ key1;
    at.c[1] = p1;
    at.c[3] = p0;
}

// words[4 * i + j] is word j of block first + i.
PYBP_INLINE void philox_blocks(const PhiloxStream& stream, std::uint64_t first,
                               std::uint32_t (&words)[4 * kPhiloxBlocks]) {
    constexpr int kPerVector = kLanes<double>;
    std::uint64_t counters[kPhiloxBlocks];
    for (int i = 0; i < kPhiloxBlocks; ++i) counters[i] = first + static_cast<std::uint64_t>(i);
    PhiloxBlocks blocks[kPhiloxVectors] = {};
    for (int v = 0; v < kPhiloxVectors; ++v) {
        __builtin_memcpy(&blocks[v].c[0], counters + v * kPerVector, sizeof(Words64));
        blocks[v].c[1] = Words64{} + stream.stream;
        blocks[v].c[2] = Words64{} + stream.step;
        blocks[v].c[3] = Words64{} + (stream.step >> 32);
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(stream.seed);
    std::uint32_t key1 = static_cast<std::uint32_t>(stream.seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
        for (int v = 0; v < kPhiloxVectors; ++v) philox_round(blocks[v], key0, key1);
        key0 += kPhiloxWeyl0;
        key1 += kPhiloxWeyl1;
    }
    constexpr std::uint64_t kLow = 0xFFFFFFFF;
    std::uint64_t pairs[2][kPerVector];
    for (int v = 0; v < kPhiloxVectors; ++v) {
        const Words64(&c)[4] = blocks[v].c;
        const Words64 first_pair = (c[0] & kLow) | (c[1] << 32);
        const Words64 second_pair = (c[2] & kLow) | (c[3] << 32);
        __builtin_memcpy(pairs[0], &first_pair, sizeof first_pair);
        __builtin_memcpy(pairs[1], &second_pair, sizeof second_pair);
        for (int i = 0; i < kPerVector; ++i) {
            for (int half = 0; half < 2; ++half) {
                __builtin_memcpy(words + 4 * (v * kPerVector + i) + 2 * half, &pairs[half][i], 8);
            }
        }
    }
}

}  // namespace
}  // namespace pybp
