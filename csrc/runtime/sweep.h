// Online training: where the last op of a step and the first of the next one go through the same
// weight, so that one pass can do both.
#pragma once

#include <cstddef>

#include "program.h"

namespace pybp {

// The two ops, null where there is no such pair.
struct Sweep {
    const Dense* first = nullptr;
    const SGDDense* last = nullptr;
    std::size_t data = 0;  // the data array that both read
};

// The pair of the ops [begin, end): the product of an input with a weight comes first, the update
// of this weight by this input last.
Sweep find_sweep(const Program& program, std::size_t begin, std::size_t end);

}  // namespace pybp
