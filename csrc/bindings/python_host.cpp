#include "python_host.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace pybp {
namespace {

py::dtype dtype_of(DType dtype) {
    switch (dtype) {
        case DType::float64:
            return py::dtype::of<double>();
        case DType::float32:
            return py::dtype::of<float>();
        case DType::int32:
            return py::dtype::of<std::int32_t>();
        case DType::uint8:
            break;
    }
    return py::dtype::of<std::uint8_t>();
}

std::vector<py::ssize_t> shape_of(const HostArray& array) {
    std::vector<py::ssize_t> shape;
    if (array.buffer->batched()) shape.push_back(array.count);
    shape.insert(shape.end(), array.buffer->trailing.begin(), array.buffer->trailing.end());
    return shape;
}

// A copy, since the memory belongs to the run: a user may keep the array for longer than that, and
// the next ops write over what is no longer needed.
py::array copy_of(const HostArray& array) {
    return py::array(dtype_of(array.buffer->dtype), shape_of(array), array.data);
}

// Copies what a function has returned to where it belongs.
void take(const HostCall& call, const py::handle& value, const HostArray& to) {
    const std::vector<py::ssize_t> shape = shape_of(to);
    const auto fail = [&](const char* what) {
        throw std::runtime_error("op " + std::to_string(call.op) + " runs in Python: " + what);
    };
    if (!py::isinstance<py::array>(value)) fail("expected an array for each buffer it writes");
    const auto array = py::reinterpret_borrow<py::array>(value);
    if (!array.dtype().equal(dtype_of(to.buffer->dtype))) fail("an array has another dtype");
    if (!(array.flags() & py::array::c_style)) fail("an array is not C-contiguous");
    if (array.ndim() != static_cast<py::ssize_t>(shape.size()) ||
        !std::equal(shape.begin(), shape.end(), array.shape())) {
        fail("an array has another shape");
    }
    std::memcpy(to.data, array.data(), static_cast<std::size_t>(array.nbytes()));
}

}  // namespace

bool PythonHost::interrupted() {
    py::gil_scoped_acquire gil;
    raised_ = PyErr_CheckSignals() != 0;
    return raised_;
}

void PythonHost::call(const HostCall& call) {
    py::gil_scoped_acquire gil;
    if (function_.is_none()) {
        throw std::runtime_error("op " + std::to_string(call.op) +
                                 " runs in Python: run() needs the function to call");
    }
    py::list arrays;
    for (std::size_t i = 0; i < call.count; ++i) {
        const HostArray& array = call.arrays[i];
        if (array.read) {
            arrays.append(copy_of(array));
        } else {
            arrays.append(py::none());
        }
    }
    const auto columns = static_cast<py::ssize_t>(call.result_columns);
    const py::array_t<double> results(columns, call.results);  // a copy too
    const py::object returned = function_(call.op, arrays, call.rows, results);
    if (!py::isinstance<py::list>(returned)) {
        throw std::runtime_error("an op that runs in Python returns a list of arrays");
    }
    const auto written = py::reinterpret_borrow<py::list>(returned);
    std::size_t next = 0;
    for (std::size_t i = 0; i < call.count; ++i) {
        if (!call.arrays[i].written) continue;
        if (next == written.size())
            throw std::runtime_error("an op misses an array that it writes");
        take(call, written[next++], call.arrays[i]);
    }
    std::copy_n(results.data(), columns, call.results);
}

}  // namespace pybp
