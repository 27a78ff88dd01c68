// Sizes in units.
#pragma once

#include <cstddef>

namespace pybp {

constexpr std::ptrdiff_t divide_up(std::ptrdiff_t x, std::ptrdiff_t y) { return (x + y - 1) / y; }

constexpr std::ptrdiff_t round_up(std::ptrdiff_t x, std::ptrdiff_t unit) {
    return divide_up(x, unit) * unit;
}

}  // namespace pybp
