// Convolutions of one ISA level with an image in each lane: tiles of channels x pixels (or taps),
// all sums in registers.
#include "../tables/lanes.h"

#include "table.h"
#include "transpose.h"

namespace pybp {
namespace {

#if defined(__AVX512F__)
constexpr int kSums = 24;  // of 32 registers
#elif defined(__AVX2__) || defined(__aarch64__)
constexpr int kSums = 12;
#else
constexpr int kSums = 8;  // products without FMA need registers of their own
#endif
constexpr int kMostRows = 6;
constexpr int kMostAcross = 6;

// Adds to `to`, or writes, the sums of a tile; rows lie a vector apart.
template <class T, int kRows, int kAcross>
PYBP_INLINE void store_sums(const V<T> (&sums)[kRows][kAcross], T* to, std::ptrdiff_t step,
                            bool accumulate) {
#pragma GCC unroll 6
    for (int j = 0; j < kAcross; ++j) {
#pragma GCC unroll 6
        for (int i = 0; i < kRows; ++i) {
            T* at = to + j * step + i * kLanes<T>;
            store(at, accumulate ? load(at) + sums[i][j] : sums[i][j]);
        }
    }
}

// The entries of a run that some pixels read in the image.
struct Inside {
    std::ptrdiff_t begin;
    std::ptrdiff_t end;

    template <class T>
    Inside(const LanesRow<T>& row, std::ptrdiff_t q, std::ptrdiff_t pixels) {
        const std::ptrdiff_t first = q * row.stride - row.before;
        const std::ptrdiff_t last = first + (pixels - 1) * row.stride;
        begin = last < 0 ? -last * row.channels : 0;
        end = (row.size - first) * row.channels;
        if (end > row.run) end = row.run;
    }
};

// What a tile of pixels reads.
template <class T>
struct Pixels {
    const LanesRow<T>& row;
    Inside inside;
};

// kRows channels of kAcross pixels. Not inlined: registers are dealt out for this loop alone.
template <class T, int kRows, int kAcross>
[[gnu::noinline]] void tile(const Pixels<T>& pixels, const T* w, const T* x, T* y) {
    const LanesRow<T>& row = pixels.row;
    V<T> sums[kRows][kAcross] = {};
    const std::ptrdiff_t x_pixel = row.x_pixel;
    const std::ptrdiff_t w_row = row.w_row;
    std::ptrdiff_t begin = row.begin;
    for (std::ptrdiff_t left = row.end; left > 0; left -= row.run) {
        if (begin < pixels.inside.begin) begin = pixels.inside.begin;
        const std::ptrdiff_t end = left < pixels.inside.end ? left : pixels.inside.end;
        const T* at = x + begin * kLanes<T>;
        const T* far = at + 3 * x_pixel;  // what the addresses of an instruction don't reach
        const T* factor = w + begin * w_row;
        for (std::ptrdiff_t k = end - begin; k > 0; --k) {
            V<T> vectors[kAcross];
#pragma GCC unroll 6
            for (int j = 0; j < kAcross; ++j) {
                vectors[j] = load(j < 3 ? at + j * x_pixel : far + (j - 3) * x_pixel);
            }
#pragma GCC unroll 6
            for (int i = 0; i < kRows; ++i) {
                const T scalar = factor[i];
#pragma GCC unroll 6
                for (int j = 0; j < kAcross; ++j) sums[i][j] = scalar * vectors[j] + sums[i][j];
            }
            at += kLanes<T>;
            if (kAcross > 3) far += kLanes<T>;
            factor += w_row;
        }
        x += row.x_run;
        w += row.run * w_row;
        begin = 0;
    }
    store_sums<T, kRows, kAcross>(sums, y, row.y_pixel, row.accumulate);
}

// kRows channels of kAcross taps.
template <class T, int kRows, int kAcross>
[[gnu::noinline]] void tile(const LanesWeight<T>& weight, const T* dy, const T* x, T* to) {
    V<T> sums[kRows][kAcross] = {};
    const std::ptrdiff_t x_pixel = weight.x_pixel;
    const std::ptrdiff_t dy_pixel = weight.n * kLanes<T>;
    const std::ptrdiff_t skip = weight.x_row - weight.pixels * x_pixel;
    for (std::ptrdiff_t p = weight.rows; p > 0; --p) {
        for (std::ptrdiff_t q = weight.pixels; q > 0; --q) {
            V<T> vectors[kAcross];
#pragma GCC unroll 6
            for (int j = 0; j < kAcross; ++j) vectors[j] = load(x + j * kLanes<T>);
#pragma GCC unroll 6
            for (int i = 0; i < kRows; ++i) {
                const V<T> factor = load(dy + i * kLanes<T>);
#pragma GCC unroll 6
                for (int j = 0; j < kAcross; ++j) sums[i][j] = factor * vectors[j] + sums[i][j];
            }
            x += x_pixel;
            dy += dy_pixel;
        }
        x += skip;
    }
    store_sums<T, kRows, kAcross>(sums, to, dy_pixel, true);
}

// Picks the tile of the right size.
template <class T, int kRows, int kAcross, class Block>
PYBP_INLINE void run_tile(std::ptrdiff_t rows, std::ptrdiff_t across, const Block& block,
                          const T* left, const T* right, T* to) {
    if constexpr (kRows > 0 && kAcross > 0) {
        if (rows != kRows) {
            run_tile<T, kRows - 1, kMostAcross>(rows, across, block, left, right, to);
        } else if constexpr (kRows * kAcross > kSums) {
            run_tile<T, kRows, kAcross - 1>(rows, across, block, left, right, to);
        } else if (across != kAcross) {
            run_tile<T, kRows, kAcross - 1>(rows, across, block, left, right, to);
        } else {
            tile<T, kRows, kAcross>(block, left, right, to);
        }
    }
}

constexpr std::ptrdiff_t pieces(std::ptrdiff_t count, std::ptrdiff_t most) {
    return (count + most - 1) / most;
}

// How n x m sums are cut into tiles: the height with the least work, where tiles of few sums wait
// for their own multiply-adds.
struct Cut {
    std::ptrdiff_t down;    // tiles
    std::ptrdiff_t across;  // tiles

    Cut(std::ptrdiff_t n, std::ptrdiff_t m) : down(1), across(1) {
        constexpr std::ptrdiff_t kChains = 10;
        std::ptrdiff_t least = -1;
        for (std::ptrdiff_t rows = 1; rows <= kMostRows && rows <= n; ++rows) {
            const std::ptrdiff_t most = kSums / rows < kMostAcross ? kSums / rows : kMostAcross;
            const std::ptrdiff_t tiles = pieces(n, rows);
            const std::ptrdiff_t columns = pieces(m, most);
            const std::ptrdiff_t sums = pieces(n, tiles) * pieces(m, columns);
            const std::ptrdiff_t work = tiles * columns * (sums > kChains ? sums : kChains);
            if (least >= 0 && work > least) continue;
            least = work;
            down = tiles;
            across = columns;
        }
    }
};

// Calls f(i, rows, j, width) for the tiles of n x m sums; they are dealt evenly.
template <class F>
PYBP_INLINE void for_each_tile(std::ptrdiff_t n, std::ptrdiff_t m, F f) {
    const Cut cut(n, m);
    std::ptrdiff_t rows = 0;
    for (std::ptrdiff_t down = 0, i = 0; down < cut.down; ++down, i += rows) {
        rows = (n - i) / (cut.down - down);
        std::ptrdiff_t width = 0;
        for (std::ptrdiff_t across = 0, j = 0; across < cut.across; ++across, j += width) {
            width = (m - j) / (cut.across - across);
            f(i, rows, j, width);
        }
    }
}

template <class T>
void row(const LanesRow<T>& row) {
    for_each_tile(
        row.n, row.pixels,
        [&](std::ptrdiff_t i, std::ptrdiff_t rows, std::ptrdiff_t q, std::ptrdiff_t pixels) {
            run_tile<T, kMostRows, kMostAcross>(
                rows, pixels, Pixels<T>{row, Inside(row, q, pixels)}, row.w + i,
                row.x + q * row.x_pixel, row.y + q * row.y_pixel + i * kLanes<T>);
        });
}

template <class T>
void weight(const LanesWeight<T>& weight) {
    for_each_tile(
        weight.n, weight.taps,
        [&](std::ptrdiff_t i, std::ptrdiff_t rows, std::ptrdiff_t j, std::ptrdiff_t taps) {
            run_tile<T, kMostRows, kMostAcross>(rows, taps, weight, weight.dy + i * kLanes<T>,
                                                weight.x + j * kLanes<T>,
                                                weight.sums + (j * weight.n + i) * kLanes<T>);
        });
}

// Where the last piece of a range would reach past its end it begins earlier: some numbers are
// moved twice. Ranges shorter than a piece go one by one.
template <class T>
void from_images(const T* x, std::ptrdiff_t stride, std::ptrdiff_t count, T* y) {
    if (count < kPiece<T>) {
        for (std::ptrdiff_t c = 0; c < count; ++c) {
            for (std::ptrdiff_t l = 0; l < kLanes<T>; ++l) y[c * kLanes<T> + l] = x[l * stride + c];
        }
        return;
    }
    const RowPointers<T> images(x, stride);
    for (std::ptrdiff_t c = 0; c < count; c += kPiece<T>) {
        if (c > count - kPiece<T>) c = count - kPiece<T>;
        V<T> moved[kPiece<T>];
        load_columns(images, stride, c, moved);
#pragma GCC unroll 4
        for (int i = 0; i < kPiece<T>; ++i) store(y + (c + i) * kLanes<T>, moved[i]);
    }
}

template <class T>
void to_images(const T* x, std::ptrdiff_t count, T* y, std::ptrdiff_t stride) {
    if (count < kLanes<T>) {
        for (std::ptrdiff_t c = 0; c < count; ++c) {
            for (std::ptrdiff_t l = 0; l < kLanes<T>; ++l) y[l * stride + c] = x[c * kLanes<T> + l];
        }
        return;
    }
    for (std::ptrdiff_t c = 0; c < count; c += kLanes<T>) {
        if (c > count - kLanes<T>) c = count - kLanes<T>;
        const RowPointers<T> numbers(x + c * kLanes<T>, kLanes<T>);
#pragma GCC unroll 8
        for (int l = 0; l < kLanes<T>; l += kPiece<T>) {
            V<T> moved[kPiece<T>];
            load_columns(numbers, kLanes<T>, l, moved);
#pragma GCC unroll 4
            for (int i = 0; i < kPiece<T>; ++i) store(y + (l + i) * stride + c, moved[i]);
        }
    }
}

template <class T>
void join(const T* x, std::ptrdiff_t count, T* sums) {
    for (std::ptrdiff_t i = 0; i < count; ++i) sums[i] = sum_lanes<T>(load(x + i * kLanes<T>));
}

template <class T>
void fill(LanesKernels<T>& table) {
    table.lanes = kLanes<T>;
    table.row = row<T>;
    table.weight = weight<T>;
    table.from_images = from_images<T>;
    table.to_images = to_images<T>;
    table.join = join<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(lanes, LanesKernels)

}  // namespace pybp
