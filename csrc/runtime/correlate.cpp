#include "correlate.h"

#include <algorithm>

#include "channels.h"
#include "correlate_lanes.h"
#include "plane.h"
#include "runs.h"

namespace pybp {
namespace {

// A band of the input and of the output together, so that they stay in a second-level cache while
// the chunks of k pass over them.
constexpr std::ptrdiff_t kBandBytes = 256 * 1024;
// Below this many multiply-adds a second thread costs more than it brings.
constexpr std::ptrdiff_t kSerialWork = 256 * 1024;

template <class T>
struct Plan {
    std::ptrdiff_t band_rows;   // output rows of one band
    std::ptrdiff_t runs;        // of the window
    std::ptrdiff_t copy_size;   // numbers of a band with its padding
    std::ptrdiff_t task_bytes;  // of scratch
    std::ptrdiff_t tasks;
};

template <class T>
Taps taps_of(const CorrelationArgs<T>& args) {
    return {args.h.kernel,         args.w.kernel, args.h.dilation, args.w.dilation,
            args.groups * args.in, args.in,       args.flip};
}

template <class T>
Plan<T> make_plan(const CorrelationArgs<T>& args, int threads) {
    Plan<T> plan;
    const std::ptrdiff_t line = args.w.reach(args.w.out) * args.groups * args.in;
    const std::ptrdiff_t out_line = args.w.out * args.groups * args.out;
    const std::ptrdiff_t halo = line * args.h.reach(1);
    const std::ptrdiff_t most = kBandBytes / static_cast<std::ptrdiff_t>(sizeof(T));
    plan.band_rows = std::clamp((most - halo) / (line * args.h.stride + out_line),
                                std::ptrdiff_t{1}, args.h.out);
    plan.runs = taps_of(args).count();
    plan.copy_size = line * args.h.reach(plan.band_rows);
    Scratch parts;
    parts.take<std::ptrdiff_t>(plan.runs);
    parts.take<T>(rows_together(args.out) * args.out);
    parts.take<T>(plan.copy_size);
    plan.task_bytes = parts.used();
    const std::ptrdiff_t rows = args.images * args.h.out;
    const std::ptrdiff_t work = rows * args.w.out * args.depth() * args.groups * args.out;
    plan.tasks = work <= kSerialWork ? 1 : std::min<std::ptrdiff_t>(threads, rows);
    return plan;
}

// The rows [begin, end) of all images, image by image.
template <class T>
class Share {
  public:
    Share(const Kernels<T>& kernels, const CorrelationArgs<T>& args, const Plan<T>& plan,
          char* scratch)
        : kernels_(kernels),
          args_(args),
          plan_(plan),
          taps_(taps_of(args)),
          repeat_(rows_together(args.out)) {
        Scratch parts(scratch);
        skips_ = parts.take<std::ptrdiff_t>(plan.runs);
        repeat_bias(parts.take<T>(repeat_ * args.out));
        copy_ = parts.take<T>(plan.copy_size);
    }

    void run(std::ptrdiff_t begin, std::ptrdiff_t end) {
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
        taps_.fill_skips(plane_.row, skips_);
        first_ = p;
        rows_ = rows;
        offset_ = image * args_.y_image + p * args_.y_row;
        for (group_ = 0; group_ < args_.groups; ++group_) {
            for (std::ptrdiff_t k = 0; k < args_.depth(); k += kChunk) run_chunk(k);
        }
    }

    // The k of the taps of output row p that don't lie in padding: the others would add zeros.
    Range inside(std::ptrdiff_t p) const {
        Range taps = args_.h.taps_inside(p);
        if (args_.flip) taps = {args_.h.kernel - taps.end, args_.h.kernel - taps.begin};
        const std::ptrdiff_t row = args_.w.kernel * args_.in;
        return {taps.begin * row, taps.end * row};
    }

    // All strips of one chunk of k.
    void run_chunk(std::ptrdiff_t k) {
        GemmBlock<T> block{};
        Range built{0, 0};
        for (std::ptrdiff_t p = 0; p < rows_; ++p) {
            const Range all = inside(first_ + p);
            if (all.empty()) {
                if (k == 0) clear(p);
                continue;
            }
            const Range part{std::max(k, all.begin), std::min(k + kChunk, all.end)};
            if (part.empty()) continue;
            if (part.begin != built.begin || part.end != built.end) {
                block = chunk(part);
                built = part;
            }
            block.accumulate = part.begin > all.begin;
            run_row(block, p);
            if (part.end == all.end) finish(p);
        }
    }

    // The strips of row p of the band. The pixels are dealt evenly: 32 are 11 + 11 + 10.
    void run_row(GemmBlock<T>& block, std::ptrdiff_t p) {
        const std::ptrdiff_t strips = divide_up(args_.w.out, kernels_.gemm.height(args_.out));
        const T* a = plane_.data + group_ * args_.in + start_ + p * args_.h.stride * plane_.row;
        T* c = args_.y + row_offset(p);
        for (std::ptrdiff_t strip = 0, q = 0; strip < strips; ++strip, q += block.m) {
            block.m = (args_.w.out - q) / (strips - strip);
            block.a = a + q * block.a_row;
            block.c = c + q * args_.y_pixel;
            kernels_.gemm.strip(block);
        }
    }

    // Where row p of the band begins in y and in saved.
    std::ptrdiff_t row_offset(std::ptrdiff_t p) const {
        return offset_ + p * args_.y_row + group_ * args_.out;
    }

    // What the strips of a part of k have in common; start_ is where its A begins.
    GemmBlock<T> chunk(const Range& part) {
        const std::ptrdiff_t k = part.begin;
        const std::ptrdiff_t length = taps_.length();
        const std::ptrdiff_t run = k / length;
        GemmBlock<T> block{};
        start_ = taps_.start(run, plane_.row) + k % length;
        block.a_row = args_.w.stride * args_.groups * args_.in;
        block.a_column = 1;
        block.first_run = length - k % length;
        block.run = length;
        block.skips = skips_ + run;
        const T* b = args_.b + group_ * args_.b_group;
        const std::ptrdiff_t panel = kernels_.gemm.panel;
        block.b = args_.packed ? b + k * panel : b + k * args_.b_row;
        block.b_row = args_.packed ? panel : args_.b_row;
        block.b_panel = args_.packed ? args_.depth() * panel : panel;
        block.b_padded = args_.packed;
        block.c_row = args_.y_pixel;
        block.n = args_.out;
        block.k = part.end - k;
        return block;
    }

    void clear(std::ptrdiff_t p) {
        T* row = args_.y + row_offset(p);
        for (std::ptrdiff_t q = 0; q < args_.w.out; ++q) {
            std::fill_n(row + q * args_.y_pixel, args_.out, T{0});
        }
        finish(p);
    }

    // The epilogue on row p of the band, as few long rows where its pixels lie side by side.
    void finish(std::ptrdiff_t p) {
        const std::ptrdiff_t n = args_.out;
        const std::ptrdiff_t at = row_offset(p);
        const bool joined = args_.y_pixel == n;
        T* row = args_.y + at;
        if (args_.epilogue == Epilogue::bias_activate && joined) {
            const std::ptrdiff_t wide = args_.w.out / repeat_;
            const std::ptrdiff_t rest = args_.w.out % repeat_ * n;
            const std::ptrdiff_t columns = repeat_ * n;
            if (wide > 0) bias_activate(bias_, row, columns, wide, columns);
            if (rest > 0) bias_activate(bias_, row + wide * columns, rest, 1, rest);
        } else if (args_.epilogue == Epilogue::bias_activate) {
            const T* bias = args_.bias ? args_.bias + group_ * n : nullptr;
            bias_activate(bias, row, args_.y_pixel, args_.w.out, n);
        } else if (args_.epilogue == Epilogue::multiply_slope) {
            const std::ptrdiff_t lines = joined ? 1 : args_.w.out;
            for (std::ptrdiff_t i = 0; i < lines; ++i) {
                const std::ptrdiff_t line = i * args_.y_pixel;
                kernels_.elementwise.activate_grad(args_.activation, args_.alpha, T{0},
                                                   args_.saved + at + line, row + line, row + line,
                                                   joined ? args_.w.out * n : n);
            }
        }
    }

    void bias_activate(const T* bias, T* y, std::ptrdiff_t stride, std::ptrdiff_t rows,
                       std::ptrdiff_t columns) {
        kernels_.elementwise.bias_activate(args_.activation, args_.alpha, bias, y, stride, rows,
                                           columns);
    }

    // The bias of `repeat_` pixels that lie side by side.
    void repeat_bias(T* bias) {
        if (!args_.bias || args_.groups > 1) return;
        for (std::ptrdiff_t i = 0; i < repeat_ * args_.out; ++i) {
            bias[i] = args_.bias[i % args_.out];
        }
        bias_ = bias;
    }

    const Kernels<T>& kernels_;
    const CorrelationArgs<T>& args_;
    const Plan<T>& plan_;
    Taps taps_;
    std::ptrdiff_t repeat_;
    const T* bias_ = nullptr;  // [repeat_, out]
    std::ptrdiff_t* skips_;    // [runs]
    T* copy_;                  // the band with its padding
    Plane<T> plane_{};
    std::ptrdiff_t first_ = 0;   // row of the band in the image
    std::ptrdiff_t rows_ = 0;    // of the band
    std::ptrdiff_t offset_ = 0;  // of the band in y
    std::ptrdiff_t group_ = 0;
    std::ptrdiff_t start_ = 0;
};

}  // namespace

template <class T>
std::size_t correlation_scratch_bytes(const CorrelationArgs<T>& args, int threads) {
    return std::max(static_cast<std::size_t>(make_plan(args, threads).task_bytes * threads),
                    lanes_scratch_bytes(args, threads));
}

namespace {

template <class T>
void correlate_by_rows(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args,
                       int threads, void* scratch) {
    const Plan<T> plan = make_plan(args, threads);
    const std::ptrdiff_t rows = args.images * args.h.out;
    team.parallel_for(plan.tasks, [&](std::ptrdiff_t i) {
        Share<T> share(kernels, args, plan, static_cast<char*>(scratch) + i * plan.task_bytes);
        share.run(rows * i / plan.tasks, rows * (i + 1) / plan.tasks);
    });
}

}  // namespace

template <class T>
void correlate(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args, int threads,
               void* scratch) {
    CorrelationArgs<T> part = args;
    part.images = images_in_lanes(kernels, args);
    if (part.images > 0) correlate_lanes(kernels, team, part, threads, scratch);
    if (part.images == args.images) return;
    part.x += part.images * args.h.size * args.w.size * args.groups * args.in;
    part.y += part.images * args.y_image;
    if (part.saved) part.saved += part.images * args.y_image;
    part.images = args.images - part.images;
    correlate_by_rows(kernels, team, part, threads, scratch);
}

template std::size_t correlation_scratch_bytes<float>(const CorrelationArgs<float>&, int);
template std::size_t correlation_scratch_bytes<double>(const CorrelationArgs<double>&, int);
template void correlate<float>(const Kernels<float>&, Team&, const CorrelationArgs<float>&, int,
                               void*);
template void correlate<double>(const Kernels<double>&, Team&, const CorrelationArgs<double>&, int,
                                void*);

}  // namespace pybp
