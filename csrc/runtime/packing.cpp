#include "packing.h"

#include <algorithm>

namespace pybp {

bool consecutive(const std::int64_t* numbers, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 1; i < count; ++i) {
        if (numbers[i] != numbers[0] + i) return false;
    }
    return true;
}

Packer::Packer(std::ptrdiff_t max_rows, std::ptrdiff_t max_count)
    : lengths_(static_cast<std::size_t>(max_rows)),
      first_(static_cast<std::size_t>(max_rows)),
      order_(static_cast<std::size_t>(max_rows)),
      sizes_(static_cast<std::size_t>(max_count)),
      offsets_(static_cast<std::size_t>(max_count) + 1),
      places_(static_cast<std::size_t>(max_count)) {}

void Packer::pack(std::ptrdiff_t samples) {
    std::ptrdiff_t* order = order_.data();
    const std::ptrdiff_t* lengths = lengths_.data();
    for (std::ptrdiff_t k = 0; k < samples; ++k) order[k] = k;
    const auto longer = [lengths](std::ptrdiff_t a, std::ptrdiff_t b) {
        return lengths[a] != lengths[b] ? lengths[a] > lengths[b] : a < b;
    };
    const bool sorted = std::is_sorted(order, order + samples, longer);
    if (!sorted) std::sort(order, order + samples, longer);
    const std::ptrdiff_t steps = samples > 0 ? lengths[order[0]] : 0;
    std::int64_t* place = places_.data();
    std::ptrdiff_t offset = 0;
    for (std::ptrdiff_t t = 0, size = samples; t < steps; ++t) {
        while (lengths[order[size - 1]] <= t) --size;
        sizes_[static_cast<std::size_t>(t)] = size;
        offsets_[static_cast<std::size_t>(t)] = offset;
        offset += size;
        for (std::ptrdiff_t k = 0; k < size; ++k) {
            place[k] = first_[static_cast<std::size_t>(order[k])] + t;
        }
        place += size;
    }
    offsets_[static_cast<std::size_t>(steps)] = offset;
    if (offset == 0) place[0] = 0;
    in_place_ = consecutive(places_.data(), offset);
    packing_ = {samples, steps, lengths, order, sizes_.data(), offsets_.data(), sorted};
}

}  // namespace pybp
