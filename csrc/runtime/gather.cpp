#include "gather.h"

#include <cstring>
#include <type_traits>

#include "step.h"

namespace pybp {
namespace {

template <class From, class To>
void convert(const char* from, char* to, std::ptrdiff_t count) {
    if constexpr (std::is_same_v<From, To>) {
        std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(To));
    } else {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            From value;  // through memcpy: arrays need not be aligned
            std::memcpy(&value, from + i * std::ptrdiff_t{sizeof(From)}, sizeof(From));
            const To result = static_cast<To>(value);
            std::memcpy(to + i * std::ptrdiff_t{sizeof(To)}, &result, sizeof(To));
        }
    }
}

template <class To>
ConvertRow convert_to(SourceType from) {
    switch (from) {
        case SourceType::boolean:  // NumPy's bool is a byte of value 0 or 1
        case SourceType::u8:
            return convert<std::uint8_t, To>;
        case SourceType::i8:
            return convert<std::int8_t, To>;
        case SourceType::u16:
            return convert<std::uint16_t, To>;
        case SourceType::i16:
            return convert<std::int16_t, To>;
        case SourceType::u32:
            return convert<std::uint32_t, To>;
        case SourceType::i32:
            return convert<std::int32_t, To>;
        case SourceType::u64:
            return convert<std::uint64_t, To>;
        case SourceType::i64:
            return convert<std::int64_t, To>;
        case SourceType::f32:
            return convert<float, To>;
        case SourceType::f64:
            return convert<double, To>;
    }
    return nullptr;
}

}  // namespace

ConvertRow convert_row(SourceType from, DType to) {
    switch (to) {
        case DType::float32:
            return convert_to<float>(from);
        case DType::float64:
            return convert_to<double>(from);
        case DType::int32:
            return convert_to<std::int32_t>(from);
        case DType::uint8:
            break;  // verify() refuses data of this type
    }
    return nullptr;
}

bool same_type(SourceType from, DType to) {
    switch (to) {
        case DType::float32:
            return from == SourceType::f32;
        case DType::float64:
            return from == SourceType::f64;
        case DType::int32:
            return from == SourceType::i32;
        case DType::uint8:
            break;
    }
    return false;
}

void gather(Team& team, const Source& source, const std::int64_t* order, std::ptrdiff_t first,
            std::ptrdiff_t count, char* to, std::ptrdiff_t row_bytes) {
    parallel_ranges(team, count, kGrain / source.row_size,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        for (std::ptrdiff_t i = begin; i < end; ++i) {
                            const std::ptrdiff_t row = order ? order[i] : first + i;
                            source.convert(source.base + row * source.row_stride,
                                           to + i * row_bytes, source.row_size);
                        }
                    });
}

void scatter(Team& team, const Source& source, const std::int64_t* order, std::ptrdiff_t count,
             const char* from, std::ptrdiff_t row_bytes) {
    parallel_ranges(
        team, count, kGrain / source.row_size, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            for (std::ptrdiff_t i = begin; i < end; ++i) {
                std::memcpy(const_cast<char*>(source.base) + order[i] * source.row_stride,
                            from + i * row_bytes, static_cast<std::size_t>(row_bytes));
            }
        });
}

}  // namespace pybp
