#include "arrays.h"

#include <cstdint>
#include <stdexcept>
#include <type_traits>

namespace py = pybind11;

namespace pybp {
namespace {

std::string dtype_name(const py::array& array) { return py::str(array.dtype()); }

bool is_native(const py::dtype& dtype) {
    const char order = dtype.byteorder();
    return order == '=' || order == '|';
}

bool is_type(const py::array& array, char kind, py::ssize_t size) {
    const py::dtype dtype = array.dtype();
    return dtype.kind() == kind && dtype.itemsize() == size && is_native(dtype);
}

// The type of a kind and a size; false if there is none.
bool source_type(char kind, py::ssize_t size, SourceType& type) {
    struct Row {
        char kind;
        py::ssize_t size;
        SourceType type;
    };
    static constexpr Row kTypes[] = {
        {'f', 4, SourceType::f32}, {'f', 8, SourceType::f64}, {'i', 8, SourceType::i64},
        {'i', 4, SourceType::i32}, {'u', 1, SourceType::u8},  {'b', 1, SourceType::boolean},
        {'i', 1, SourceType::i8},  {'i', 2, SourceType::i16}, {'u', 2, SourceType::u16},
        {'u', 4, SourceType::u32}, {'u', 8, SourceType::u64}};
    for (const Row& row : kTypes) {
        if (row.kind == kind && row.size == size) {
            type = row.type;
            return true;
        }
    }
    return false;
}

}  // namespace

ArrayView view_array(std::size_t index, const py::array& array) {
    ArrayView view;
    const py::dtype dtype = array.dtype();
    if (!source_type(dtype.kind(), dtype.itemsize(), view.type) || !is_native(dtype)) {
        throw std::invalid_argument("data " + std::to_string(index) +
                                    ": expected bool, an integer dtype, float32 or float64 in "
                                    "native byte order, got " +
                                    dtype_name(array));
    }
    view.data = static_cast<char*>(const_cast<void*>(array.data()));
    view.axes = array.ndim();
    view.shape = array.shape();
    view.strides = array.strides();
    view.writable = array.writeable();
    return view;
}

template <class T>
void check_dense(const char* name, const py::array& array, py::ssize_t axes) {
    constexpr bool kFloat = std::is_floating_point_v<T>;
    if (is_type(array, kFloat ? 'f' : 'i', py::ssize_t{sizeof(T)}) && array.ndim() == axes &&
        (array.flags() & py::array::c_style)) {
        return;
    }
    throw std::invalid_argument(
        std::string(name) + ": expected a C-contiguous " + (kFloat ? "float64" : "int64") +
        " array of " + std::to_string(axes) + " axes, got " + dtype_name(array) + " with " +
        std::to_string(array.ndim()) + " axes and strides that " +
        ((array.flags() & py::array::c_style) ? "are" : "are not") + " C-contiguous");
}
template void check_dense<double>(const char*, const py::array&, py::ssize_t);
template void check_dense<std::int64_t>(const char*, const py::array&, py::ssize_t);

Segment view_segment(const std::string& name, const py::array& array) {
    if (!(array.flags() & py::array::c_style) || !array.writeable()) {
        throw std::invalid_argument(name + ": expected a writable C-contiguous array");
    }
    return {static_cast<char*>(const_cast<void*>(array.data())), array.nbytes()};
}

}  // namespace pybp
