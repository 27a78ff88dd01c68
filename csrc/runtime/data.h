// The arrays that a caller gives to a run, checked against the buffers that they stand for.
#pragma once

#include <cstddef>
#include <string>

#include "gather.h"
#include "program.h"

namespace pybp {

// An array as its owner describes it.
struct ArrayView {
    char* data = nullptr;
    SourceType type = SourceType::f32;
    std::ptrdiff_t axes = 0;
    const std::ptrdiff_t* shape = nullptr;    // [axes]
    const std::ptrdiff_t* strides = nullptr;  // [axes], bytes
    bool writable = false;
};

// An array ready for use: where its rows lie, and whether they can be used there.
struct DataArray {
    Source source;
    char* staging = nullptr;       // [max_rows, row]; null for outputs
    std::ptrdiff_t row_bytes = 0;  // of the buffer
    bool same_type = false;        // rows can be used in place
    bool contiguous = false;       // and so can any number of consecutive ones

    // One row where it lies; null if it can't be used there.
    const char* in_place(std::int64_t row) const {
        return same_type ? source.base + row * source.row_stride : nullptr;
    }

    // The rows [first, first + count), or those named in order, where an op can use them.
    // consecutive: whether order counts up by one.
    char* rows(Team& team, const std::int64_t* order, std::ptrdiff_t first, std::ptrdiff_t count,
               bool consecutive) const;
};

// Throws std::invalid_argument if the array, that of data slot `index`, can't stand for the buffer.
DataArray check_array(std::size_t index, const ArrayView& array, const Buffer& buffer,
                      bool is_output, char* staging);

}  // namespace pybp
