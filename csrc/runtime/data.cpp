#include "data.h"

#include <cstdint>
#include <stdexcept>

namespace pybp {
namespace {

std::string text(const std::ptrdiff_t* shape, std::ptrdiff_t axes, bool batched) {
    std::string result = batched ? "(n" : "(";
    for (std::ptrdiff_t i = 0; i < axes; ++i) {
        if (i > 0 || batched) result += ", ";
        result += std::to_string(shape[i]);
    }
    return result + (axes + (batched ? 1 : 0) == 1 ? ",)" : ")");
}

bool has_shape(const ArrayView& array, const Buffer& buffer) {
    if (array.axes != buffer.axes()) return false;
    for (std::size_t i = 0; i < buffer.trailing.size(); ++i) {
        if (array.shape[i + 1] != buffer.trailing[i]) return false;
    }
    return true;
}

// Whether the elements of each row lie side by side. Strides of single entries mean nothing.
bool rows_contiguous(const ArrayView& array, std::ptrdiff_t item) {
    std::ptrdiff_t expected = item;
    for (std::ptrdiff_t i = array.axes - 1; i >= 1; --i) {
        if (array.shape[i] != 1 && array.strides[i] != expected) return false;
        expected *= array.shape[i];
    }
    return true;
}

std::ptrdiff_t item_size(SourceType type) {
    switch (type) {
        case SourceType::boolean:
        case SourceType::u8:
        case SourceType::i8:
            return 1;
        case SourceType::u16:
        case SourceType::i16:
            return 2;
        case SourceType::u32:
        case SourceType::i32:
        case SourceType::f32:
            return 4;
        case SourceType::u64:
        case SourceType::i64:
        case SourceType::f64:
            return 8;
    }
    return 0;
}

const char* name_of(DType dtype) {
    switch (dtype) {
        case DType::float32:
            return "float32";
        case DType::float64:
            return "float64";
        case DType::int32:
            return "int32";
        case DType::uint8:
            return "uint8";
    }
    return "";
}

bool is_float(SourceType type) { return type == SourceType::f32 || type == SourceType::f64; }

}  // namespace

char* DataArray::rows(Team& team, const std::int64_t* order, std::ptrdiff_t first,
                      std::ptrdiff_t count, bool consecutive) const {
    if (same_type && consecutive && (contiguous || count == 1)) {
        const std::ptrdiff_t start = order ? order[0] : first;
        return const_cast<char*>(source.base) + start * source.row_stride;
    }
    gather(team, source, order, first, count, staging, row_bytes);
    return staging;
}

DataArray check_array(std::size_t index, const ArrayView& array, const Buffer& buffer,
                      bool is_output, char* staging) {
    const auto fail = [index](const std::string& what) {
        throw std::invalid_argument("data " + std::to_string(index) + ": " + what);
    };
    if (!has_shape(array, buffer)) {
        const auto axes = static_cast<std::ptrdiff_t>(buffer.trailing.size());
        fail("expected shape " + text(buffer.trailing.data(), axes, true) + ", got " +
             text(array.shape, array.axes, false));
    }
    const std::ptrdiff_t item = item_size(array.type);
    if (!rows_contiguous(array, item)) {
        fail("expected the elements of a row side by side (C order)");
    }
    if (buffer.dtype == DType::int32 && is_float(array.type)) {
        fail("expected an integer dtype, got a float dtype");
    }
    DataArray result;
    const std::ptrdiff_t align = size_of(buffer.dtype);
    result.row_bytes = buffer.row * align;
    result.source.base = array.data;
    result.source.length = array.shape[0];
    result.source.row_stride = array.strides[0];
    result.source.row_size = buffer.row;
    result.source.convert = convert_row(array.type, buffer.dtype);
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(array.data) % static_cast<std::uintptr_t>(align) == 0 &&
        array.strides[0] % align == 0;
    result.same_type = same_type(array.type, buffer.dtype) && aligned;
    result.contiguous = array.strides[0] == result.row_bytes || array.shape[0] <= 1;
    result.staging = staging;
    if (is_output && !(result.same_type && result.contiguous && array.writable)) {
        fail(std::string("an output must be a writable C-contiguous ") + name_of(buffer.dtype) +
             " array");
    }
    return result;
}

}  // namespace pybp
