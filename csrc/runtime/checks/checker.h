// What the shape rules of the ops are written with.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "../program.h"

namespace pybp {

// The leading extents of batched buffers, as in pybp.program.ops.base.
inline constexpr std::ptrdiff_t kRows = -1;
inline std::ptrdiff_t packed(std::int64_t packing) { return kRows - 1 - packing; }

inline std::string text(const Shape& shape) {
    std::string result = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        result += (i == 0 ? "" : ", ");
        result += shape[i] == kRows ? "n" : shape[i] < kRows ? "p" : std::to_string(shape[i]);
    }
    return result + (shape.size() == 1 ? ",)" : ")");
}

inline const char* text(DType dtype) {
    if (dtype == DType::uint8) return "uint8";
    return dtype == DType::int32 ? "int32" : "real";
}

inline std::ptrdiff_t product(const Shape& shape) {
    std::ptrdiff_t result = 1;
    for (const std::ptrdiff_t extent : shape) result *= extent;
    return result;
}

// Whether a field of this type holds a buffer.
template <class Field>
inline constexpr bool kIsOperand = std::is_base_of_v<Operand, Field>;
template <class Field>
inline constexpr bool kMayBeAbsent =
    std::is_same_v<Field, MaybeRead> || std::is_same_v<Field, MaybeWrite>;

// Looks at one op; every complaint names the op and the field.
class Checker {
  public:
    Checker(const Program& program, std::size_t index, const char* kind)
        : program_(program), index_(index), kind_(kind) {}

    [[noreturn]] void fail(const std::string& field, const std::string& message) const {
        throw std::invalid_argument("op " + std::to_string(index_) + " (" + kind_ + "), field " +
                                    field + ": " + message);
    }

    void require(bool condition, const std::string& field, const std::string& message) const {
        if (!condition) fail(field, message);
    }

    template <class Field>
    void operand(const char* field, const Field& value) const {
        if constexpr (kIsOperand<Field>) {
            if (!kMayBeAbsent<Field>) has_buffer(field, value.index);
        }
        for_each_index(value, [&](int index) { has_buffer(field, index); });
    }

    void has_buffer(const char* field, int index) const {
        const int count = static_cast<int>(program_.buffers.size());
        require(index >= 0 && index < count, field,
                "expected the index of one of " + std::to_string(count) + " buffers, got " +
                    std::to_string(index));
    }

    Shape shape(Operand operand) const {
        const Buffer& buffer = program_.buffers[static_cast<std::size_t>(operand.index)];
        Shape result = buffer.trailing;
        if (buffer.batched()) result.insert(result.begin(), kSamples + kRows - buffer.leading);
        return result;
    }

    // The dtype and the shape of an operand; says nothing about one that is absent.
    void has(const char* field, Operand operand, const Shape& expected,
             DType dtype = DType::float32) const {
        if (!operand.present()) return;
        const Shape found = shape(operand);
        require(found == expected, field,
                "expected shape " + text(expected) + ", got " + text(found));
        has_dtype(field, operand, dtype);
    }

    void has_dtype(const char* field, Operand operand, DType dtype) const {
        const DType found = program_.buffers[static_cast<std::size_t>(operand.index)].dtype;
        const bool same = found == dtype || (is_real(found) && is_real(dtype));
        require(same, field, std::string("expected dtype ") + text(dtype) + ", got " + text(found));
    }

    void has_axes(const char* field, Operand operand, std::size_t least) const {
        const Shape found = shape(operand);
        require(found.size() >= least, field,
                "expected at least " + std::to_string(least) + " axes, got " + text(found));
        has_dtype(field, operand, DType::float32);
    }

    // The number of a packing of the program.
    void has_packing(std::int64_t packing) const {
        const auto count = static_cast<std::int64_t>(program_.fixed_steps.size());
        require(packing >= 0 && packing < count, "packing",
                "expected one of " + std::to_string(count) + " packings, got " +
                    std::to_string(packing));
    }

    // The shape of an operand with the time steps of a packing.
    Shape steps_of(const char* field, Operand operand, std::int64_t packing) const {
        has_axes(field, operand, 1);
        const Shape found = shape(operand);
        require(
            found.front() == packed(packing), field,
            "expected the steps of packing " + std::to_string(packing) + ", got " + text(found));
        return found;
    }

    // Weights: one for each sample, or for each entry of some leading axes of the positions.
    void leads(const char* field, Operand operand, const Shape& positions) const {
        if (!operand.present()) return;
        const Shape found = shape(operand);
        require(!found.empty() && found.size() <= positions.size() &&
                    std::equal(found.begin(), found.end(), positions.begin()),
                field, "expected the leading axes of " + text(positions) + ", got " + text(found));
        has_dtype(field, operand, DType::float32);
    }

  private:
    const Program& program_;
    std::size_t index_;
    const char* kind_;
};

inline Shape without_last(Shape shape) {
    shape.pop_back();
    return shape;
}

}  // namespace pybp
