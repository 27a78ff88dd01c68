// Where the numbers of a window lie in a plane: runs of numbers side by side, and the gaps between.
#pragma once

#include <cstddef>

namespace pybp {

// The taps of a window over a plane of pixels of `channels` numbers, of which `used` take part.
struct Taps {
    std::ptrdiff_t rows;
    std::ptrdiff_t columns;
    std::ptrdiff_t row_dilation;
    std::ptrdiff_t column_dilation;
    std::ptrdiff_t channels;
    std::ptrdiff_t used;
    bool flip;

    // Whether the taps of a row are one run.
    bool joined() const {
        return column_dilation == 1 && used == channels && (!flip || columns == 1);
    }
    std::ptrdiff_t count() const { return joined() ? rows : rows * columns; }
    std::ptrdiff_t length() const { return joined() ? columns * used : used; }

    // The row of taps, as they lie in the plane, of run `index`.
    std::ptrdiff_t tap_row(std::ptrdiff_t index) const {
        const std::ptrdiff_t u = joined() ? index : index / columns;
        return flip ? rows - 1 - u : u;
    }

    // Where run `index` starts, from the first tap of the plane, whose rows are `row` numbers
    // apart.
    std::ptrdiff_t start(std::ptrdiff_t index, std::ptrdiff_t row) const {
        const std::ptrdiff_t v = joined() ? 0 : index % columns;
        const std::ptrdiff_t tap = flip ? columns - 1 - v : v;
        return tap_row(index) * row_dilation * row + tap * column_dilation * channels;
    }

    // skips[i]: from the end of run i to the start of the next; count() - 1 entries.
    void fill_skips(std::ptrdiff_t row, std::ptrdiff_t* skips) const {
        for (std::ptrdiff_t i = 0; i + 1 < count(); ++i) {
            skips[i] = start(i + 1, row) - start(i, row) - length();
        }
    }
};

}  // namespace pybp
