// NumPy arrays as plain pointers. Nothing is converted: what does not fit is refused.
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "../runtime/data.h"
#include "../runtime/executor.h"

namespace pybp {

// Where a data array lies. Throws std::invalid_argument, beginning with "data `index`", if its
// dtype is none that can be converted.
ArrayView view_array(std::size_t index, const pybind11::array& array);

// Throws std::invalid_argument, beginning with `name`, unless the array is C-contiguous with this
// number of axes and of the type of T (double or std::int64_t).
template <class T>
void check_dense(const char* name, const pybind11::array& array, pybind11::ssize_t axes);

// The bytes of a C-contiguous, writable array. Throws std::invalid_argument for any other.
Segment view_segment(const std::string& name, const pybind11::array& array);

}  // namespace pybp
