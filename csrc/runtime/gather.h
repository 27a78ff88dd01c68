// Rows of the caller's arrays, brought together and converted for one step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "program.h"
#include "threads.h"

namespace pybp {

// The element types of arrays that a caller may give.
enum class SourceType { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64 };

// Converts `count` elements; neither side needs to be aligned. Numbers out of the range of the
// result are the caller's to refuse.
using ConvertRow = void (*)(const char* from, char* to, std::ptrdiff_t count);

// The conversion to the type of a buffer.
ConvertRow convert_row(SourceType from, DType to);

// Whether rows of this type can be used by a buffer where they lie.
bool same_type(SourceType from, DType to);

// An array of the caller; the elements of a row lie side by side.
struct Source {
    const char* base = nullptr;
    std::ptrdiff_t length = 0;      // rows
    std::ptrdiff_t row_stride = 0;  // bytes
    std::ptrdiff_t row_size = 0;    // elements
    ConvertRow convert = nullptr;
};

// Row i of the result is row order[i] of the source, or row first + i where order is null.
// to [count, row_size], row_bytes a row.
void gather(Team& team, const Source& source, const std::int64_t* order, std::ptrdiff_t first,
            std::ptrdiff_t count, char* to, std::ptrdiff_t row_bytes);

// The way back, for rows that need no conversion: row i goes to row order[i] of the source.
void scatter(Team& team, const Source& source, const std::int64_t* order, std::ptrdiff_t count,
             const char* from, std::ptrdiff_t row_bytes);

}  // namespace pybp
