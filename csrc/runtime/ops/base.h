// What the fields of ops are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../../kernel_table.h"

namespace pybp {

inline constexpr int kAbsent = -1;

// An operand: the index of a buffer, or kAbsent where the field may be left out. The four types
// carry what the op does with it.
struct Operand {
    int index = kAbsent;
    bool present() const { return index != kAbsent; }
};
struct Read : Operand {};
struct Write : Operand {};
struct MaybeRead : Operand {};
struct MaybeWrite : Operand {};

// Several operands in one field.
struct Operands {
    std::vector<int> indices;
};
struct Reads : Operands {};
struct Writes : Operands {};

enum class Reduction { mean, batch, samples, sum };
enum class BagMode { sum, mean, max };  // the order of pybp.program.ops.embedding.MODES

using Shape = std::vector<std::ptrdiff_t>;

}  // namespace pybp
