// What measures the machine, for `python -m pybp.bench`: each row of an array is the work of one
// task of the team, so as many rows as threads keep all of them busy.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "../runtime/kernels.h"
#include "../runtime/threads.h"
#include "register.h"

namespace py = pybind11;

namespace pybp {
namespace {

template <class T>
using Array = py::array_t<T, 0>;

template <class T>
void check_rows(const char* name, const Array<T>& array) {
    if (array.ndim() != 2 || !(array.flags() & py::array::c_style)) {
        throw std::invalid_argument(std::string(name) + ": expected a contiguous array of 2 axes");
    }
}

std::ptrdiff_t roof_width(const std::string& dtype) {
    if (dtype == "float32") return kernels<float>().roof.width;
    if (dtype == "float64") return kernels<double>().roof.width;
    throw std::invalid_argument("dtype: expected float32 or float64, got '" + dtype + "'");
}

template <class T>
void roof_multiply_add(Array<T>& x, T factor, T addend, std::ptrdiff_t rounds) {
    check_rows("x", x);
    const RoofKernels<T>& table = kernels<T>().roof;
    if (x.shape(1) != table.width) {
        throw std::invalid_argument("x: expected rows of " + std::to_string(table.width) +
                                    " numbers, got " + std::to_string(x.shape(1)));
    }
    T* base = x.mutable_data();
    const std::ptrdiff_t tasks = x.shape(0);
    py::gil_scoped_release release;
    team().parallel_for(tasks, [&](std::ptrdiff_t task) {
        table.multiply_add(factor, addend, base + task * table.width, rounds);
    });
}

template <class T>
Array<T> roof_sum(const Array<T>& x, std::ptrdiff_t repeats) {
    check_rows("x", x);
    const RoofKernels<T>& table = kernels<T>().roof;
    const std::ptrdiff_t tasks = x.shape(0), count = x.shape(1);
    Array<T> sums(tasks);
    const T* base = x.data();
    T* found = sums.mutable_data();
    {
        py::gil_scoped_release release;
        team().parallel_for(tasks, [&](std::ptrdiff_t task) {
            T total = 0;
            for (std::ptrdiff_t i = 0; i < repeats; ++i) {
                total += table.sum(base + task * count, count);
            }
            found[task] = total;
        });
    }
    return sums;
}

template <class T>
void roof_copy(const Array<T>& x, Array<T>& y, std::ptrdiff_t repeats) {
    check_rows("x", x);
    check_rows("y", y);
    if (x.shape(0) != y.shape(0) || x.shape(1) != y.shape(1)) {
        throw std::invalid_argument("x and y: expected equal shapes");
    }
    const RoofKernels<T>& table = kernels<T>().roof;
    const std::ptrdiff_t tasks = x.shape(0), count = x.shape(1);
    const T* from = x.data();
    T* to = y.mutable_data();
    py::gil_scoped_release release;
    team().parallel_for(tasks, [&](std::ptrdiff_t task) {
        for (std::ptrdiff_t i = 0; i < repeats; ++i) {
            table.copy(from + task * count, to + task * count, count);
        }
    });
}

void empty_calls(std::ptrdiff_t count) {
    py::gil_scoped_release release;
    Team& all = team();
    const std::ptrdiff_t tasks = all.size();
    for (std::ptrdiff_t i = 0; i < count; ++i) all.parallel_for(tasks, [](std::ptrdiff_t) {});
}

template <class T>
void register_type(py::module_& m) {
    m.def("roof_multiply_add", &roof_multiply_add<T>, py::arg("x").noconvert(), py::arg("factor"),
          py::arg("addend"), py::arg("rounds"));
    m.def("roof_sum", &roof_sum<T>, py::arg("x").noconvert(), py::arg("repeats"));
    m.def("roof_copy", &roof_copy<T>, py::arg("x").noconvert(), py::arg("y").noconvert(),
          py::arg("repeats"));
}

}  // namespace

void register_roof(py::module_& m) {
    register_type<float>(m);
    register_type<double>(m);
    m.def("roof_width", &roof_width, py::arg("dtype"));
    m.def("empty_calls", &empty_calls, py::arg("count"));
}

}  // namespace pybp
