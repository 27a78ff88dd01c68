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

// What the leading extent of a buffer counts: nothing that varies, the samples of a step, or (from
// kPacked on) the time steps of all samples in one of the packings (packing.h).
inline constexpr int kFixed = 0;
inline constexpr int kSamples = 1;
inline constexpr int kPacked = 2;

// An array at `offset` bytes behind the base of its slot. The slots below the number of segments
// are fixed memory; then come data slots, whose base changes from step to step, and views, whose
// base changes from time step to time step.
struct Buffer {
    int slot = 0;
    std::ptrdiff_t offset = 0;
    DType dtype = DType::float32;
    int leading = kFixed;     // what the leading extent counts
    Shape trailing;           // the shape, without the leading extent if that varies
    std::ptrdiff_t row = 1;   // elements of the trailing shape
    std::ptrdiff_t last = 1;  // the last extent; 1 for a batched buffer of one axis

    bool batched() const { return leading != kFixed; }
    bool packed() const { return leading >= kPacked; }
    std::ptrdiff_t axes() const {
        return static_cast<std::ptrdiff_t>(trailing.size()) + (batched() ? 1 : 0);
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

// What the ops of a loop see of a packed buffer: the rows of a time step, as many as there are
// samples that have it. With a start, a buffer (n, ...), they see those rows of the step before,
// and at the first step the start. All three are indices of buffers.
struct View {
    int buffer = 0;
    int of = 0;
    int start = kAbsent;

    bool has_start() const { return start != kAbsent; }
};

struct Program {
    DType real = DType::float32;  // the type of the "real" buffers
    std::vector<Buffer> buffers;
    std::vector<DataSlot> data;
    std::vector<View> views;
    std::vector<Op> ops;
    // The most that a leading extent counts: 1, samples, time steps of each packing.
    std::vector<std::ptrdiff_t> capacity;
    // Of each packing: the time steps that every sample has, or 0 where each run says it.
    std::vector<std::ptrdiff_t> fixed_steps;

    // The view that a buffer is, null for all others.
    const View* view_of(int buffer) const {
        for (const View& view : views) {
            if (view.buffer == buffer) return &view;
        }
        return nullptr;
    }
    std::ptrdiff_t max_rows() const { return capacity[kSamples]; }
    std::ptrdiff_t most_bytes(const Buffer& buffer) const {
        return capacity[static_cast<std::size_t>(buffer.leading)] * buffer.row *
               size_of(buffer.dtype);
    }
};

// Checks the shape rules of all ops, and the indices of ops and data slots. Throws
// std::invalid_argument with the op, the field, what was expected and what was found.
void verify(const Program& program);

}  // namespace pybp
