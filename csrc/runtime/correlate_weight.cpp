#include "correlate_weight.h"

#include <algorithm>

#include "correlate_lanes.h"
#include "parts.h"
#include "plane.h"
#include "runs.h"

namespace pybp {
namespace {

// A band of the input and of dy together: it is read once for each strip of dw.
constexpr std::ptrdiff_t kBandBytes = 256 * 1024;
// A gradient of up to so many numbers is summed in parts, each with a copy of its own; that of more
// has enough rows to be shared among threads.
constexpr std::ptrdiff_t kPartNumbers = 16 * 1024;
constexpr std::ptrdiff_t kMostParts = 16;
constexpr std::ptrdiff_t kPartPixels = 1024;
// dy is packed for more rows of dw than that.
constexpr std::ptrdiff_t kUnpackedRows = 512;
constexpr std::ptrdiff_t kSerialWork = 256 * 1024;
constexpr std::ptrdiff_t kMostSkips = kChunk + 1;

template <class T>
struct Plan {
    std::ptrdiff_t band_rows;
    std::ptrdiff_t parts;      // of the pixels, each with sums of its own; 1: dw itself
    std::ptrdiff_t tasks;      // as many as parts, or shares of the rows of dw
    bool pack;                 // dy
    std::ptrdiff_t part_size;  // numbers of a part's sums
    // The scratch of one task, in numbers: the packed chunk of dy, then the copy of a band.
    std::ptrdiff_t packed_size;
    std::ptrdiff_t copy_size;

    std::ptrdiff_t task_size() const { return packed_size + copy_size; }
};

template <class T>
Plan<T> make_plan(const CorrelationWeightArgs<T>& args, int threads) {
    Plan<T> plan;
    const std::ptrdiff_t item = sizeof(T);
    const std::ptrdiff_t line = args.w.reach(args.w.out) * args.groups * args.in;
    const std::ptrdiff_t out_line = args.w.out * args.groups * args.out;
    const std::ptrdiff_t halo = line * args.h.reach(1);
    plan.band_rows = std::clamp((kBandBytes / item - halo) / (line * args.h.stride + out_line),
                                std::ptrdiff_t{1}, args.h.out);
    const std::ptrdiff_t rows = args.images * args.h.out;
    plan.parts = 1;
    if (args.size() <= kPartNumbers) {
        plan.parts = std::clamp(rows * args.w.out / kPartPixels, std::ptrdiff_t{1},
                                std::min(kMostParts, rows));
    }
    plan.tasks = plan.parts;
    if (plan.parts == 1 && rows * args.w.out * args.size() > kSerialWork) plan.tasks = threads;
    plan.pack = args.depth() > kUnpackedRows;
    plan.part_size = plan.parts > 1 ? part_stride(args.size()) : 0;
    plan.packed_size = plan.pack ? round_up(args.out, kWidestPanel) * kChunk : 0;
    plan.copy_size = round_up(line * args.h.reach(plan.band_rows), 64);
    return plan;
}

// One share of the work: some rows of the output, and some strips of dw.
template <class T>
class Share {
  public:
    Share(const Kernels<T>& kernels, const CorrelationWeightArgs<T>& args, const Plan<T>& plan,
          T* dw, bool accumulate, T* scratch)
        : kernels_(kernels),
          args_(args),
          plan_(plan),
          taps_{args.h.kernel,         args.w.kernel, args.h.dilation, args.w.dilation,
                args.groups * args.in, args.in,       args.flip},
          dw_(dw),
          accumulate_(accumulate),
          packed_(scratch),
          copy_(scratch + plan.packed_size) {}

    // The strips of a run, and those of all groups and runs.
    std::ptrdiff_t strips_of_run() const {
        return divide_up(taps_.length(), kernels_.gemm.height(args_.out));
    }
    std::ptrdiff_t strips() const { return args_.groups * taps_.count() * strips_of_run(); }

    // Rows [begin, end) of the outputs of all images, for the strips [first, last) of dw.
    void run(std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t first, std::ptrdiff_t last) {
        first_ = first;
        last_ = last;
        while (begin < end) {
            const std::ptrdiff_t image = begin / args_.h.out;
            const std::ptrdiff_t p = begin % args_.h.out;
            const std::ptrdiff_t rows = std::min({plan_.band_rows, args_.h.out - p, end - begin});
            run_band(image, p, rows);
            begin += rows;
        }
    }

  private:
    void run_band(std::ptrdiff_t image, std::ptrdiff_t p, std::ptrdiff_t rows) {
        const WindowAxis& h = args_.h;
        const WindowAxis& w = args_.w;
        const std::ptrdiff_t channels = args_.groups * args_.in;
        const Band band{p * h.stride - h.before, -w.before, h.reach(rows), w.reach(w.out)};
        plane_ = read_band(args_.x + image * h.size * w.size * channels, h.size, w.size, channels,
                           band, copy_);
        const std::ptrdiff_t skip = h.stride * plane_.row - w.out * w.stride * channels;
        std::fill_n(skips_, std::min(rows, kMostSkips), skip);
        band_ = p;
        dy_ = args_.dy + (image * h.out + p) * w.out * args_.groups * args_.out;
        const std::ptrdiff_t pixels = rows * w.out;
        for (std::ptrdiff_t k = 0; k < pixels; k += kChunk) {
            run_chunk({k, std::min(k + kChunk, pixels)});
        }
    }

    void run_chunk(const Range& chunk) {
        const std::ptrdiff_t of_run = strips_of_run();
        const std::ptrdiff_t of_group = taps_.count() * of_run;
        GemmBlock<T> block{};
        block.a_row = 1;
        block.a_column = args_.w.stride * args_.groups * args_.in;
        block.run = args_.w.out;
        block.skips = skips_;
        block.c_row = args_.groups * args_.out;
        block.n = args_.out;
        block.accumulate = accumulate_;
        std::ptrdiff_t group = -1;
        for (std::ptrdiff_t s = first_; s < last_; ++s) {
            if (s / of_group != group) {
                group = s / of_group;
                take_dy(block, group, chunk);
            }
            run_strip(block, group, s % of_group / of_run, s % of_run, chunk);
        }
        accumulate_ = true;
    }

    // Rows [i, i + m) of the block of dw that belongs to a run of taps.
    void run_strip(GemmBlock<T>& block, std::ptrdiff_t group, std::ptrdiff_t run,
                   std::ptrdiff_t strip, const Range& chunk) {
        const std::ptrdiff_t i = taps_.length() * strip / strips_of_run();
        block.m = taps_.length() * (strip + 1) / strips_of_run() - i;
        block.c = dw_ + (run * taps_.length() + i) * block.c_row + group * args_.out;
        const Range pixels = inside(run, chunk);
        if (pixels.empty()) {
            if (!accumulate_) clear(block);
            return;
        }
        const std::ptrdiff_t row = pixels.begin / args_.w.out;
        const std::ptrdiff_t column = pixels.begin % args_.w.out;
        block.a = plane_.data + row * args_.h.stride * plane_.row + column * block.a_column +
                  group * args_.in + taps_.start(run, plane_.row) + i;
        block.first_run = args_.w.out - column;
        block.b = b_ + (pixels.begin - chunk.begin) * block.b_row;
        block.k = pixels.end - pixels.begin;
        kernels_.gemm.strip(block);
    }

    // The pixels of a chunk at which a run of taps does not lie in padding.
    Range inside(std::ptrdiff_t run, const Range& chunk) const {
        const Range rows = args_.h.outputs_inside(taps_.tap_row(run));
        return {std::max(chunk.begin, (rows.begin - band_) * args_.w.out),
                std::min(chunk.end, (rows.end - band_) * args_.w.out)};
    }

    static void clear(const GemmBlock<T>& block) {
        for (std::ptrdiff_t i = 0; i < block.m; ++i) {
            std::fill_n(block.c + i * block.c_row, block.n, T{0});
        }
    }

    // B: the rows of dy, for the channels of a group.
    void take_dy(GemmBlock<T>& block, std::ptrdiff_t group, const Range& chunk) {
        const std::ptrdiff_t length = chunk.end - chunk.begin;
        const std::ptrdiff_t columns = args_.groups * args_.out;
        const T* dy = dy_ + chunk.begin * columns + group * args_.out;
        const std::ptrdiff_t panel = kernels_.gemm.panel;
        b_ = dy;
        block.b_row = columns;
        block.b_panel = panel;
        // The pixels after the chunk may be read where the last one ends within a vector.
        const T* end = args_.dy + args_.images * args_.h.out * args_.w.out * columns;
        block.b_padded = end - (dy + length * columns) >= panel;
        if (plan_.pack) {
            kernels_.gemm.pack_b(dy, columns, false, length, args_.out, packed_);
            b_ = packed_;
            block.b_row = panel;
            block.b_panel = length * panel;
            block.b_padded = true;
        }
    }

    const Kernels<T>& kernels_;
    const CorrelationWeightArgs<T>& args_;
    const Plan<T>& plan_;
    Taps taps_;
    T* dw_;
    bool accumulate_;  // whether dw_ holds sums already
    T* packed_;
    T* copy_;  // the band with its padding
    Plane<T> plane_{};
    const T* dy_ = nullptr;    // of the band
    const T* b_ = nullptr;     // of the chunk, as it lies or packed
    std::ptrdiff_t band_ = 0;  // its first row
    std::ptrdiff_t first_ = 0;
    std::ptrdiff_t last_ = 0;
    std::ptrdiff_t skips_[kMostSkips];
};

}  // namespace

template <class T>
std::size_t correlation_weight_scratch_bytes(const CorrelationWeightArgs<T>& args, int threads) {
    const Plan<T> plan = make_plan(args, threads);
    // Fewer images may be one part, which all threads share.
    const std::ptrdiff_t tasks = std::max<std::ptrdiff_t>(plan.parts, threads);
    return std::max(
        static_cast<std::size_t>(plan.parts * plan.part_size + tasks * plan.task_size()) *
            sizeof(T),
        lanes_scratch_bytes(args, threads));
}

namespace {

template <class T>
void correlate_weight_by_rows(const Kernels<T>& kernels, Team& team,
                              const CorrelationWeightArgs<T>& args, int threads, void* scratch) {
    const Plan<T> plan = make_plan(args, threads);
    const std::ptrdiff_t rows = args.images * args.h.out;
    T* parts = static_cast<T*>(scratch);
    T* work = parts + plan.parts * plan.part_size;
    team.parallel_for(plan.tasks, [&](std::ptrdiff_t i) {
        const bool in_parts = plan.parts > 1;
        Share<T> share(kernels, args, plan, in_parts ? parts + i * plan.part_size : args.dw,
                       !in_parts && args.accumulate, work + i * plan.task_size());
        const std::ptrdiff_t strips = share.strips();
        if (in_parts) {
            share.run(rows * i / plan.parts, rows * (i + 1) / plan.parts, 0, strips);
        } else {
            share.run(0, rows, strips * i / plan.tasks, strips * (i + 1) / plan.tasks);
        }
    });
    if (plan.parts > 1) add_parts(team, parts, plan.parts, args.size(), args.dw, args.accumulate);
}

}  // namespace

template <class T>
void correlate_weight(const Kernels<T>& kernels, Team& team, const CorrelationWeightArgs<T>& args,
                      int threads, void* scratch) {
    CorrelationWeightArgs<T> part = args;
    part.images = images_in_lanes(kernels, args);
    if (part.images > 0) correlate_weight_lanes(kernels, team, part, scratch);
    if (part.images == args.images) return;
    part.x += part.images * args.h.size * args.w.size * args.groups * args.in;
    part.dy += part.images * args.h.out * args.w.out * args.groups * args.out;
    part.accumulate = args.accumulate || part.images > 0;
    part.images = args.images - part.images;
    correlate_weight_by_rows(kernels, team, part, threads, scratch);
}

template std::size_t correlation_weight_scratch_bytes<float>(const CorrelationWeightArgs<float>&,
                                                             int);
template std::size_t correlation_weight_scratch_bytes<double>(const CorrelationWeightArgs<double>&,
                                                              int);
template void correlate_weight<float>(const Kernels<float>&, Team&,
                                      const CorrelationWeightArgs<float>&, int, void*);
template void correlate_weight<double>(const Kernels<double>&, Team&,
                                       const CorrelationWeightArgs<double>&, int, void*);

}  // namespace pybp
