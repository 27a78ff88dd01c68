// The tap columns of a window that lie in a row of the input.
#pragma once

#include "simd.h"

namespace pybp {
namespace {

// The range [begin, end).
struct Columns {
    std::ptrdiff_t begin;
    std::ptrdiff_t end;
};

// The t in [0, count) with low <= start + t * step < high.
PYBP_INLINE Columns columns_in(std::ptrdiff_t start, std::ptrdiff_t step, std::ptrdiff_t count,
                               std::ptrdiff_t low, std::ptrdiff_t high) {
    const auto steps_to = [&](std::ptrdiff_t cell) {  // the first t at or behind the cell
        if (cell <= start) return std::ptrdiff_t{0};
        return step == 1 ? cell - start : (cell - start + step - 1) / step;
    };
    const std::ptrdiff_t end = steps_to(high);
    return {steps_to(low), end < count ? end : count};
}

}  // namespace
}  // namespace pybp
