// Gradients of a table as rows and values: the ids of a batch, sorted, and what belongs to each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "scratch.h"
#include "step.h"

namespace pybp {

// The number of rows that a gradient has: they end at the first -1 of rows [most].
inline std::ptrdiff_t touched_rows(const std::int32_t* rows, std::ptrdiff_t most) {
    return std::partition_point(rows, rows + most, [](std::int32_t row) { return row >= 0; }) -
           rows;
}

// Rows of `size` numbers that are worth a thread.
inline std::ptrdiff_t row_grain(std::ptrdiff_t size) {
    return std::max(kGrain / size, std::ptrdiff_t{1});
}

// Rows of a table lie anywhere in memory: they are asked for so many rows before they are needed.
inline constexpr std::ptrdiff_t kRowsAhead = 12;

template <class T>
void prefetch_row(const T* row, std::ptrdiff_t size) {
    constexpr std::ptrdiff_t kMost = 1024;  // bytes; the processor fetches what follows by itself
    constexpr std::ptrdiff_t kLine = 64;
    const auto* bytes = reinterpret_cast<const char*>(row);
    const std::ptrdiff_t end = std::min(size * std::ptrdiff_t{sizeof(T)}, kMost);
    for (std::ptrdiff_t at = 0; at < end; at += kLine) __builtin_prefetch(bytes + at);
}

// Places of ids, the equal ones side by side: ids in rising order, the places of each too.
class GroupedIds {
  public:
    // Memory for up to `most` ids, fewer than 2^31.
    GroupedIds(Scratch& memory, std::ptrdiff_t most)
        : pairs_(memory.take<std::uint64_t>(most)),
          others_(memory.take<std::uint64_t>(most)),
          places_(memory.take<std::int32_t>(most)),
          starts_(memory.take<std::int32_t>(most + 1)),
          counts_(memory.take<std::int32_t>(kMostCounts)) {}

    // Takes the places [0, count) for which keep(place) holds. rows [count] gets the different
    // ids, then -1.
    template <class Keep>
    void group(const std::int32_t* ids, std::ptrdiff_t count, const Keep& keep,
               std::int32_t* rows) {
        std::uint32_t bits = 0;
        kept_ = 0;
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            if (!keep(i)) continue;
            const auto id = static_cast<std::uint32_t>(ids[i]);
            pairs_[kept_++] = std::uint64_t{id} << 32 | static_cast<std::uint32_t>(i);
            bits |= id;
        }
        sort(bits);
        size_ = 0;
        std::int32_t last = -1;  // no id
        for (std::ptrdiff_t i = 0; i < kept_; ++i) {
            places_[i] = static_cast<std::int32_t>(pairs_[i]);
            const auto id = static_cast<std::int32_t>(pairs_[i] >> 32);
            if (id == last) continue;
            rows[size_] = last = id;
            starts_[size_++] = static_cast<std::int32_t>(i);
        }
        starts_[size_] = static_cast<std::int32_t>(kept_);
        std::fill(rows + size_, rows + count, std::int32_t{-1});
    }

    std::ptrdiff_t size() const { return size_; }  // different ids
    std::ptrdiff_t kept() const { return kept_; }  // places
    const std::int32_t* places(std::ptrdiff_t group) const { return places_ + starts_[group]; }
    std::ptrdiff_t count(std::ptrdiff_t group) const { return starts_[group + 1] - starts_[group]; }
    std::ptrdiff_t start(std::ptrdiff_t group) const { return starts_[group]; }

  private:
    static constexpr int kMostDigit = 11;  // bits: the counts stay in the first cache
    static constexpr std::ptrdiff_t kMostCounts = std::ptrdiff_t{1} << kMostDigit;

    // By counting, digit for digit, so equal keys keep their order. bits: all that are set in any.
    void sort(std::uint32_t bits) {
        int width = 0;
        while (width < 32 && bits >> width != 0) ++width;
        const int passes = (width + kMostDigit - 1) / kMostDigit;
        for (int pass = 0; pass < passes; ++pass) {
            const int digit = (width + passes - 1) / passes;
            sort_by_digit(32 + pass * digit, (std::uint32_t{1} << digit) - 1);
            std::swap(pairs_, others_);
        }
    }

    void sort_by_digit(int shift, std::uint32_t mask) {
        const auto digit = [&](std::uint64_t pair) {
            return static_cast<std::uint32_t>(pair >> shift) & mask;
        };
        std::fill(counts_, counts_ + mask + 1, 0);
        for (std::ptrdiff_t i = 0; i < kept_; ++i) ++counts_[digit(pairs_[i])];
        std::int32_t before = 0;
        for (std::uint32_t d = 0; d <= mask; ++d) {
            const std::int32_t here = counts_[d];
            counts_[d] = before;
            before += here;
        }
        for (std::ptrdiff_t i = 0; i < kept_; ++i) others_[counts_[digit(pairs_[i])]++] = pairs_[i];
    }

    std::uint64_t* pairs_;  // [most]: the id above, the place below
    std::uint64_t* others_;
    std::int32_t* places_;  // [most]
    std::int32_t* starts_;  // [most + 1]
    std::int32_t* counts_;  // [kMostCounts]
    std::ptrdiff_t size_ = 0;
    std::ptrdiff_t kept_ = 0;
};

}  // namespace pybp
