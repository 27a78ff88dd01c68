// Single kernels, for tests and benchmarks.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "../runtime/gemm.h"
#include "../runtime/kernels.h"
#include "register.h"

namespace py = pybind11;

namespace pybp {
namespace {

template <class T>
using Array = py::array_t<T, 0>;

constexpr std::size_t kAlignment = 64;

// A matrix whose rows may lie apart, but not the elements of a row.
template <class T>
std::ptrdiff_t row_stride(const char* name, const Array<T>& array) {
    constexpr auto kItem = static_cast<py::ssize_t>(sizeof(T));
    if (array.ndim() != 2) {
        throw std::invalid_argument(std::string(name) + ": expected 2 axes, got " +
                                    std::to_string(array.ndim()));
    }
    const bool single = array.shape(1) == 1;
    if ((!single && array.strides(1) != kItem) || array.strides(0) % kItem != 0 ||
        array.strides(0) < 0) {
        throw std::invalid_argument(std::string(name) + ": expected rows of adjacent elements");
    }
    return array.shape(0) == 1 ? array.shape(1) : array.strides(0) / kItem;
}

template <class T>
void run_gemm(const Array<T>& a, const Array<T>& b, Array<T>& c, bool transpose_a, bool transpose_b,
              bool accumulate) {
    GemmArgs<T> args{};
    args.a_stride = row_stride("a", a);
    args.b_stride = row_stride("b", b);
    args.c_stride = row_stride("c", c);
    args.transpose_a = transpose_a;
    args.transpose_b = transpose_b;
    args.accumulate = accumulate;
    args.m = a.shape(transpose_a ? 1 : 0);
    args.k = a.shape(transpose_a ? 0 : 1);
    args.n = b.shape(transpose_b ? 0 : 1);
    if (b.shape(transpose_b ? 1 : 0) != args.k || c.shape(0) != args.m || c.shape(1) != args.n) {
        throw std::invalid_argument("gemm: the shapes of a, b and c do not agree");
    }
    args.a = a.data();
    args.b = b.data();
    args.c = c.mutable_data();
    const int threads = team().size();
    const std::size_t bytes = gemm_scratch_bytes<T>(args.m, args.n, args.k, threads);
    py::array_t<std::uint8_t> scratch(static_cast<py::ssize_t>(bytes + kAlignment));
    auto* base = scratch.mutable_data();
    base += (kAlignment - reinterpret_cast<std::uintptr_t>(base) % kAlignment) % kAlignment;
    // Safe: the arrays are held by the arguments of this call.
    py::gil_scoped_release release;
    gemm(kernels<T>(), team(), args, threads, base);
}

template <class T>
auto find_vector_math(const std::string& name) {
    const ElementwiseKernels<T>& table = kernels<T>().elementwise;
    if (name == "exp") return table.exp;
    if (name == "expm1") return table.expm1;
    if (name == "log") return table.log;
    if (name == "log1p") return table.log1p;
    if (name == "tanh") return table.tanh;
    if (name == "sigmoid") return table.sigmoid;
    if (name == "normal_cdf") return table.normal_cdf;
    throw std::invalid_argument(
        "name: expected exp, expm1, log, log1p, tanh, sigmoid or normal_cdf, got '" + name + "'");
}

template <class T>
Array<T> run_vector_math(const std::string& name, const Array<T>& x) {
    if (x.ndim() != 1 || !(x.flags() & py::array::c_style)) {
        throw std::invalid_argument("x: expected a contiguous array of 1 axis");
    }
    Array<T> y(x.shape(0));
    find_vector_math<T>(name)(x.data(), y.mutable_data(), x.shape(0));
    return y;
}

template <class T>
void register_type(py::module_& m) {
    m.def("gemm", &run_gemm<T>, py::arg("a").noconvert(), py::arg("b").noconvert(),
          py::arg("c").noconvert(), py::arg("transpose_a") = false, py::arg("transpose_b") = false,
          py::arg("accumulate") = false);
    m.def("vector_math", &run_vector_math<T>, py::arg("name"), py::arg("x").noconvert());
}

}  // namespace

void register_kernels(py::module_& m) {
    register_type<float>(m);
    register_type<double>(m);
}

}  // namespace pybp
