// The ops that run in the host: their operands are collected and handed over.
#pragma once

#include <type_traits>
#include <vector>

#include "cpu.h"
#include "host.h"
#include "step.h"

namespace pybp {

// Gradients of parameters are read where they are added to.
template <class Op>
bool adds_to_written(const Op& op) {
    if constexpr (std::is_same_v<Op, CallGrad>) return op.accumulate;
    return false;
}

// Appends an entry for each operand of a field, absent ones too.
template <class T>
class OperandCollector {
  public:
    OperandCollector(const Step<T>& step, bool adds, std::vector<HostArray>& arrays)
        : step_(step), adds_(adds), arrays_(arrays) {}

    template <class Field>
    void operator()(const char*, const Field& field) const {
        constexpr bool kIsRead = std::is_same_v<Field, Read> || std::is_same_v<Field, MaybeRead> ||
                                 std::is_same_v<Field, Reads>;
        if constexpr (std::is_base_of_v<Operand, Field>) {
            add(field, kIsRead);
        } else if constexpr (std::is_base_of_v<Operands, Field>) {
            for (const int index : field.indices) add(Operand{index}, kIsRead);
        }
    }

  private:
    void add(Operand operand, bool is_read) const {
        HostArray array;
        if (operand.present()) {
            array.buffer = &step_.extents[operand];
            array.data = step_.address(operand);
            array.count = step_.extents.count(operand);
            array.read = is_read || adds_;
            array.written = !is_read;
        }
        arrays_.push_back(array);
    }

    const Step<T>& step_;
    bool adds_;
    std::vector<HostArray>& arrays_;
};

// Runs the op at place `index`. Users' functions see the floating-point mode of their thread, not
// that of the kernels.
template <class T, class Op>
void run_in_host(const Op& op, std::size_t index, const Step<T>& step,
                 std::vector<HostArray>& arrays) {
    arrays.clear();
    fields(op, OperandCollector<T>(step, adds_to_written(op), arrays));
    const FloatingPointMode mode(step.caller.mode);
    step.caller.host.call({index, arrays.data(), arrays.size(), step.extents.rows, step.results,
                           step.caller.result_columns});
}

}  // namespace pybp
