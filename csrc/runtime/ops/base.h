// What the fields of ops are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
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

// Several operands in one field; kAbsent among them stands for one that is left out.
struct Operands {
    std::vector<int> indices;
    Operand at(std::size_t place) const { return {indices[place]}; }
};
struct Reads : Operands {};
struct Writes : Operands {};

// Calls f(index) for each buffer that a field names: for none if it is no operand.
template <class Field, class F>
void for_each_index(const Field& field, const F& f) {
    if constexpr (std::is_base_of_v<Operand, Field>) {
        if (field.present()) f(field.index);
    } else if constexpr (std::is_base_of_v<Operands, Field>) {
        for (const int index : field.indices) {
            if (index != kAbsent) f(index);
        }
    }
}

enum class Reduction { mean, batch, samples, sum };
enum class BagMode { sum, mean, max };  // the order of pybp.program.ops.embedding.MODES

using Shape = std::vector<std::ptrdiff_t>;

}  // namespace pybp
