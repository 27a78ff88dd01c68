// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (2011). Its NumPy
// twin is pybp/random.py.
//
// Element e of a stream uses word e % 4 of the block with
//   counter = (low 32 bits of e / 4, stream, low 32 bits of step, high 32 bits of step)
//   key     = (low 32 bits of seed, high 32 bits of seed)
#pragma once

#include <cstddef>
#include <cstdint>

namespace pybp {
namespace {

constexpr int kPhiloxRounds = 10;
constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9u;  // golden ratio
constexpr std::uint32_t kPhiloxWeyl1 = 0xBB67AE85u;  // sqrt(3) - 1

// Blocks that are computed side by side, so that the compiler uses vectors across blocks.
constexpr int kPhiloxBlocks = 16;

struct PhiloxStream {
    std::uint64_t seed;
    std::uint32_t stream;
    std::uint64_t step;
};

// words[4 * i + j] is word j of block first + i.
inline void philox_blocks(const PhiloxStream& at, std::uint64_t first,
                          std::uint32_t (&words)[4 * kPhiloxBlocks]) {
    std::uint32_t c[4][kPhiloxBlocks];
    for (int i = 0; i < kPhiloxBlocks; ++i) {
        c[0][i] = static_cast<std::uint32_t>(first + static_cast<std::uint64_t>(i));
        c[1][i] = at.stream;
        c[2][i] = static_cast<std::uint32_t>(at.step);
        c[3][i] = static_cast<std::uint32_t>(at.step >> 32);
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(at.seed);
    std::uint32_t key1 = static_cast<std::uint32_t>(at.seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
        for (int i = 0; i < kPhiloxBlocks; ++i) {
            const std::uint64_t p0 = std::uint64_t{kPhiloxMultiplier0} * c[0][i];
            const std::uint64_t p1 = std::uint64_t{kPhiloxMultiplier1} * c[2][i];
            c[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1][i] ^ key0;
            c[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3][i] ^ key1;
            c[1][i] = static_cast<std::uint32_t>(p1);
            c[3][i] = static_cast<std::uint32_t>(p0);
        }
        key0 += kPhiloxWeyl0;
        key1 += kPhiloxWeyl1;
    }
    for (int i = 0; i < kPhiloxBlocks; ++i) {
        for (int j = 0; j < 4; ++j) words[4 * i + j] = c[j][i];
    }
}

}  // namespace
}  // namespace pybp
