// What an op sees when it runs: the memory of one step, and the means to work on it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "host.h"
#include "kernels.h"
#include "packing.h"
#include "program.h"
#include "threads.h"

namespace pybp {

// Buffers with what their leading extents count: sizes, before there is any memory.
struct Extents {
    const Buffer* buffers;
    const std::ptrdiff_t* counts;  // 1, samples, time steps of each packing: by Buffer::leading
    std::ptrdiff_t rows;           // samples

    const Buffer& operator[](Operand operand) const { return buffers[operand.index]; }
    // The entries along the leading extent.
    std::ptrdiff_t count(Operand operand) const { return counts[(*this)[operand].leading]; }
    std::ptrdiff_t size(Operand operand) const { return count(operand) * (*this)[operand].row; }
    std::ptrdiff_t last(Operand operand) const { return (*this)[operand].last; }
};

template <class T>
struct Step {
    const Kernels<T>& kernels;
    Team& team;
    Extents extents;
    const Packer* packers;  // [packings]
    char* const* bases;     // [slots]
    const double* hyper;    // the row of this step
    double* results;        // the row of this step
    std::uint64_t seed;
    std::uint64_t number;  // counts the steps of a net, for the random numbers
    char* scratch;         // aligned to 64 bytes
    int threads;           // the scratch is enough for so many
    const Caller& caller;  // who runs the program

    const Packing& packing(std::int64_t index) const { return packers[index].packing(); }
    // The data of an operand, null if it is absent.
    T* data(Operand operand) const { return reinterpret_cast<T*>(address(operand)); }
    const std::int32_t* labels(Operand operand) const {
        return reinterpret_cast<const std::int32_t*>(address(operand));
    }
    std::uint8_t* bytes(Operand operand) const {
        return reinterpret_cast<std::uint8_t*>(address(operand));
    }
    std::int32_t* words(Operand operand) const {
        return reinterpret_cast<std::int32_t*>(address(operand));
    }
    char* address(Operand operand) const {
        if (!operand.present()) return nullptr;
        const Buffer& buffer = extents[operand];
        return bases[buffer.slot] + buffer.offset;
    }
};

// Deals [0, count) out as ranges: f(begin, end) of at least `grain` entries, one range if there are
// fewer. The cuts depend on count and grain alone, and lie where cache lines do.
template <class F>
void parallel_ranges(Team& team, std::ptrdiff_t count, std::ptrdiff_t grain, const F& f) {
    constexpr std::ptrdiff_t kMostRanges = 64;
    constexpr std::ptrdiff_t kLine = 16;
    const std::ptrdiff_t ranges =
        std::clamp(count / std::max(grain, std::ptrdiff_t{1}), std::ptrdiff_t{1}, kMostRanges);
    if (ranges == 1) {
        f(std::ptrdiff_t{0}, count);
        return;
    }
    std::ptrdiff_t length = (count + ranges - 1) / ranges;
    if (length > kLine) length = (length + kLine - 1) / kLine * kLine;
    team.parallel_for((count + length - 1) / length, [&](std::ptrdiff_t range) {
        f(range * length, std::min(count, (range + 1) * length));
    });
}

// Elements of one range: some microseconds of work, several times what it costs to wake a thread.
inline constexpr std::ptrdiff_t kGrain = 16384;

}  // namespace pybp
