// A program as the executor sees it: buffers, data slots and ops, all by index.
#pragma once

#include <cstddef>
#include <vector>

#include "ops.h"

namespace pybp {

enum class DType { float32, float64, int32, uint8 };

constexpr std::ptrdiff_t size_of(DType dtype) {
    switch (dtype) {
        case DType::float64:
            return 8;
        case DType::uint8:
            return 1;
        default:
            return 4;
    }
}

constexpr bool is_real(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

// An array at `offset` bytes behind the base of its slot. The slots below the number of segments
// are fixed memory; the others are data slots, whose base changes from step to step.
struct Buffer {
    int slot = 0;
    std::ptrdiff_t offset = 0;
    DType dtype = DType::float32;
    bool batched = false;     // whether the leading extent is the number of rows of the step
    Shape trailing;           // the shape, without the leading extent if batched
    std::ptrdiff_t row = 1;   // elements of the trailing shape
    std::ptrdiff_t last = 1;  // the last extent; 1 for a batched buffer of one axis

    std::ptrdiff_t size(std::ptrdiff_t rows) const { return batched ? rows * row : row; }
    std::ptrdiff_t bytes(std::ptrdiff_t rows) const { return size(rows) * size_of(dtype); }
    std::ptrdiff_t axes() const {
        return static_cast<std::ptrdiff_t>(trailing.size()) + (batched ? 1 : 0);
    }
};

// An array that the caller gives to each run. Rows that can't be used where they lie are gathered
// and converted into the staging area; those of outputs are always written in place.
struct DataSlot {
    int buffer = 0;
    int staging_slot = 0;
    std::ptrdiff_t staging_offset = 0;
    bool is_output = false;
};

struct Program {
    DType real = DType::float32;  // the type of the "real" buffers
    std::vector<Buffer> buffers;
    std::vector<DataSlot> data;
    std::vector<Op> ops;
    std::ptrdiff_t max_rows = 0;
};

// Checks the shape rules of all ops, and the indices of ops and data slots. Throws
// std::invalid_argument with the op, the field, what was expected and what was found.
void verify(const Program& program);

}  // namespace pybp
