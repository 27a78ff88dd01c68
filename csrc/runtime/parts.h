// Long sums in parts: cut by shape alone, each with sums of its own, added up in rising order.
#pragma once

#include <algorithm>
#include <cstddef>

#include "rounding.h"
#include "step.h"

namespace pybp {

// How many parts a sum of `count` terms of `numbers` each is cut into.
inline std::ptrdiff_t part_count(std::ptrdiff_t count, std::ptrdiff_t numbers) {
    constexpr std::ptrdiff_t kMostParts = 16;
    return std::clamp(count * numbers / kGrain, std::ptrdiff_t{1}, std::min(kMostParts, count));
}

// Numbers from one part's sums to the next: whole cache lines.
inline std::ptrdiff_t part_stride(std::ptrdiff_t size) { return round_up(size, 64); }

// sums (+)= the parts [count, size], which lie part_stride(size) apart.
template <class T>
void add_parts(Team& team, const T* parts, std::ptrdiff_t count, std::ptrdiff_t size, T* sums,
               bool accumulate) {
    const std::ptrdiff_t stride = part_stride(size);
    parallel_ranges(team, size, kGrain / count, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        if (!accumulate) std::copy(parts + begin, parts + end, sums + begin);
        for (std::ptrdiff_t p = accumulate ? 0 : 1; p < count; ++p) {
            const T* part = parts + p * stride;
            for (std::ptrdiff_t i = begin; i < end; ++i) sums[i] += part[i];
        }
    });
}

}  // namespace pybp
