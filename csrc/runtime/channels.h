// Rows of channels: how they are cut, and sums of all rows of each channel.
//
// Rows of few channels would leave most lanes of a vector empty. So `repeat` rows that lie one
// after the other are seen as one wide row; what belongs to a channel is then repeated as often.
#pragma once

#include <numeric>

#include "scratch.h"
#include "step.h"

namespace pybp {

inline constexpr std::ptrdiff_t kWideRow = 128;      // worth of lanes for several wide vectors
inline constexpr std::ptrdiff_t kWidestRow = 512;    // of those that are put together
inline constexpr std::ptrdiff_t kLanesOfAll = 16;    // a multiple of the lanes of every vector
inline constexpr std::ptrdiff_t kChunkSize = 32768;  // elements that are summed as one piece
inline constexpr std::ptrdiff_t kLeastChunk = 16;    // rows
inline constexpr std::ptrdiff_t kColumnBlock = 4096;

// How often a row is repeated in a wide one.
inline std::ptrdiff_t rows_together(std::ptrdiff_t channels) {
    if (channels >= kWideRow) return 1;
    const std::ptrdiff_t whole = std::lcm(channels, kWideRow);
    if (whole <= kWidestRow) return whole / channels;
    const std::ptrdiff_t least = std::lcm(channels, kLanesOfAll);
    return (kWideRow + least - 1) / least * least / channels;
}

// x [rows, channels] as [wide, columns] and a rest of less than a wide row.
struct ChannelRows {
    std::ptrdiff_t rows;
    std::ptrdiff_t channels;
    std::ptrdiff_t repeat;

    ChannelRows(std::ptrdiff_t rows, std::ptrdiff_t channels, std::ptrdiff_t repeat)
        : rows(rows), channels(channels), repeat(repeat) {}
    ChannelRows(const Extents& extents, Operand x)
        : ChannelRows(extents.size(x) / extents.last(x), extents.last(x),
                      rows_together(extents.last(x))) {}

    std::ptrdiff_t columns() const { return channels * repeat; }
    std::ptrdiff_t wide() const { return rows / repeat; }
    std::ptrdiff_t rest() const { return rows % repeat * channels; }
    // Wide rows that are summed as one chain, by the shape alone.
    std::ptrdiff_t chunk() const { return std::clamp(kChunkSize / columns(), kLeastChunk, kChunk); }
    std::ptrdiff_t chunks() const { return (wide() + chunk() - 1) / chunk(); }
    // The chunks, and the rest as one more.
    std::ptrdiff_t pieces() const { return chunks() + 1; }
};

// f(offset, rows, columns) for blocks of wide rows on several threads, and for the rest as one row.
template <class F>
void parallel_wide_rows(Team& team, const ChannelRows& at, const F& f) {
    const std::ptrdiff_t columns = at.columns();
    parallel_ranges(team, at.wide() + (at.rest() ? 1 : 0), kGrain / columns,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        const std::ptrdiff_t whole = std::min(end, at.wide());
                        if (begin < whole) f(begin * columns, whole - begin, columns);
                        if (end > at.wide()) f(at.wide() * columns, std::ptrdiff_t{1}, at.rest());
                    });
}

// wide[i] = value(i % channels)
template <class T, class F>
void repeat_channels(const ChannelRows& at, T* wide, const F& value) {
    for (std::ptrdiff_t c = 0; c < at.channels; ++c) wide[c] = value(c);
    for (std::ptrdiff_t i = at.channels; i < at.columns(); ++i) wide[i] = wide[i - at.channels];
}

// Sums over all rows of each channel, kSums at a time.
template <class T, int kSums>
struct ChannelSums {
    T* partials;     // [kSums, pieces, columns]
    double* totals;  // [kSums, columns]; the first `channels` of each are the sums

    ChannelSums(const ChannelRows& at, Scratch& scratch)
        : partials(scratch.take<T>(kSums * at.pieces() * at.columns())),
          totals(scratch.take<double>(kSums * at.columns())) {}

    double* total(const ChannelRows& at, int s) const { return totals + s * at.columns(); }

    // add(row, column, rows, columns, sums) writes the sums over wide rows [row, row + rows) to
    // sums[s], for these columns. The order of all additions follows from the shape.
    template <class F>
    void run(const Step<T>& step, const ChannelRows& at, const F& add) const {
        const std::ptrdiff_t blocks = (at.columns() + kColumnBlock - 1) / kColumnBlock;
        const std::ptrdiff_t tasks = (at.chunks() + (at.rest() ? 1 : 0)) * blocks;
        const std::ptrdiff_t work = at.chunk() * std::min(at.columns(), kColumnBlock);
        parallel_ranges(step.team, tasks, kGrain / work,
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            for (std::ptrdiff_t t = begin; t < end; ++t) {
                                add_piece(at, t / blocks, t % blocks * kColumnBlock, add);
                            }
                        });
        parallel_ranges(step.team, at.columns(), kGrain / at.pieces(),
                        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                            for (int s = 0; s < kSums; ++s) join_pieces(step, at, s, begin, end);
                        });
        for (int s = 0; s < kSums; ++s) join_repeats(at, total(at, s));
    }

  private:
    T* partial(const ChannelRows& at, int s, std::ptrdiff_t piece) const {
        return partials + (s * at.pieces() + piece) * at.columns();
    }

    template <class F>
    void add_piece(const ChannelRows& at, std::ptrdiff_t piece, std::ptrdiff_t column,
                   const F& add) const {
        const bool whole = piece < at.chunks();
        const std::ptrdiff_t row = whole ? piece * at.chunk() : at.wide();
        const std::ptrdiff_t rows = whole ? std::min(at.chunk(), at.wide() - row) : 1;
        const std::ptrdiff_t end = whole ? at.columns() : at.rest();
        const std::ptrdiff_t columns = std::min(kColumnBlock, end - column);
        if (columns <= 0) return;
        T* sums[kSums];
        for (int s = 0; s < kSums; ++s) sums[s] = partial(at, s, piece) + column;
        add(row, column, rows, columns, sums);
    }

    void join_pieces(const Step<T>& step, const ChannelRows& at, int s, std::ptrdiff_t begin,
                     std::ptrdiff_t end) const {
        double* sums = total(at, s);
        std::fill(sums + begin, sums + end, 0.0);
        step.kernels.norm.add_partials(partial(at, s, 0) + begin, sums + begin, at.columns(),
                                       at.chunks(), end - begin);
        const std::ptrdiff_t rest = std::min(at.rest(), end);
        if (begin >= rest) return;
        step.kernels.norm.add_partials(partial(at, s, at.chunks()) + begin, sums + begin,
                                       at.columns(), 1, rest - begin);
    }

    static void join_repeats(const ChannelRows& at, double* sums) {
        for (std::ptrdiff_t r = 1; r < at.repeat; ++r) {
            for (std::ptrdiff_t c = 0; c < at.channels; ++c) sums[c] += sums[r * at.channels + c];
        }
    }
};

// out (+)= totals, where there is an out.
template <class T>
void write_totals(T* out, const double* totals, std::ptrdiff_t count, bool accumulate) {
    if (!out) return;
    for (std::ptrdiff_t c = 0; c < count; ++c) {
        const T total = static_cast<T>(totals[c]);
        out[c] = accumulate ? out[c] + total : total;
    }
}

// sums (+)= the sums of the rows of x [rows, channels], for any number of rows.
template <class T>
std::ptrdiff_t channel_sums_scratch(std::ptrdiff_t rows, std::ptrdiff_t channels) {
    Scratch scratch;
    ChannelSums<T, 1>(ChannelRows(rows, channels, rows_together(channels)), scratch);
    return scratch.used();
}

template <class T>
void channel_sums(const Step<T>& step, const T* x, std::ptrdiff_t rows, std::ptrdiff_t channels,
                  T* sums, bool accumulate, char* memory) {
    const ChannelRows at(rows, channels, rows_together(channels));
    Scratch scratch(memory);
    const ChannelSums<T, 1> all(at, scratch);
    all.run(step, at,
            [&](std::ptrdiff_t row, std::ptrdiff_t column, std::ptrdiff_t count,
                std::ptrdiff_t columns, T* const(&out)[1]) {
                step.kernels.elementwise.column_sums(x + row * at.columns() + column, out[0],
                                                     at.columns(), count, columns, false);
            });
    write_totals(sums, all.totals, channels, accumulate);
}

}  // namespace pybp
