#include "correlate.h"

#include <algorithm>

#include "plane.h"
#include "runs.h"

namespace pybp {
namespace {

// A band of the input and of the output together, so that they stay in a second-level cache while
// the chunks of k pass over them.
constexpr std::ptrdiff_t kBandBytes = 256 * 1024;
// Below this many multiply-adds a second thread costs more than it brings.
constexpr std::ptrdiff_t kSerialWork = 256 * 1024;

std::ptrdiff_t round_up(std::ptrdiff_t x, std::ptrdiff_t unit) {
    return (x + unit - 1) / unit * unit;
}

std::ptrdiff_t divide_up(std::ptrdiff_t x, std::ptrdiff_t y) { return (x + y - 1) / y; }

// Output rows of one band; the scratch of a task; how many tasks.
template <class T>
struct Plan {
    std::ptrdiff_t band_rows;
    std::ptrdiff_t runs;
    std::ptrdiff_t task_bytes;
    std::ptrdiff_t tasks;
};

template <class T>
Taps taps_of(const CorrelationArgs<T>& args) {
    return {args.h.taps,           args.w.taps, args.h.dilation, args.w.dilation,
            args.groups * args.in, args.in,     args.flip};
}

template <class T>
Plan<T> make_plan(const CorrelationArgs<T>& args, int threads) {
    Plan<T> plan;
    const std::ptrdiff_t item = sizeof(T);
    const std::ptrdiff_t line = args.w.reach(args.w.out) * args.groups * args.in * item;
    const std::ptrdiff_t out_line = args.w.out * args.groups * args.out * item;
    const std::ptrdiff_t halo = line * args.h.reach(1);
    plan.band_rows = std::clamp((kBandBytes - halo) / (line * args.h.stride + out_line),
                                std::ptrdiff_t{1}, args.h.out);
    plan.runs = taps_of(args).count();
    plan.task_bytes = round_up(line * args.h.reach(plan.band_rows), 64) +
                      round_up(plan.runs * static_cast<std::ptrdiff_t>(sizeof(std::ptrdiff_t)), 64);
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
          skips_(reinterpret_cast<std::ptrdiff_t*>(scratch)),
          copy_(reinterpret_cast<T*>(
              scratch +
              round_up(plan.runs * static_cast<std::ptrdiff_t>(sizeof(std::ptrdiff_t)), 64))) {}

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
        const CorrelationAxis& h = args_.h;
        const CorrelationAxis& w = args_.w;
        const std::ptrdiff_t channels = args_.groups * args_.in;
        const Band band{p * h.stride - h.before, -w.before, h.reach(rows), w.reach(w.out)};
        plane_ = read_band(args_.x + image * h.size * w.size * channels, h.size, w.size, channels,
                           band, copy_);
        taps_.fill_skips(plane_.row, skips_);
        rows_ = rows;
        offset_ = image * args_.y_image + p * args_.y_row;
        for (group_ = 0; group_ < args_.groups; ++group_) {
            for (std::ptrdiff_t k = 0; k < args_.depth(); k += kChunk) run_chunk(k);
        }
    }

    // All strips of one chunk of k. The pixels of a row are dealt evenly: 32 are 11 + 11 + 10.
    void run_chunk(std::ptrdiff_t k) {
        GemmBlock<T> block = chunk(k);
        const std::ptrdiff_t most = kernels_.gemm.height(args_.out);
        const std::ptrdiff_t strips = divide_up(args_.w.out, most);
        const bool last = k + block.k == args_.depth();
        const std::ptrdiff_t pixel = args_.w.stride * args_.groups * args_.in;
        const T* origin = plane_.data + group_ * args_.in + block_start_;
        for (std::ptrdiff_t p = 0; p < rows_; ++p) {
            for (std::ptrdiff_t strip = 0, q = 0; strip < strips; ++strip, q += block.m) {
                block.m = (args_.w.out - q) / (strips - strip);
                block.a = origin + p * args_.h.stride * plane_.row + q * pixel;
                const std::ptrdiff_t at =
                    offset_ + p * args_.y_row + q * args_.y_pixel + group_ * args_.out;
                block.c = args_.y + at;
                kernels_.gemm.strip(block);
                if (last) finish(at, block.m);
            }
        }
    }

    // What the strips of the chunk from k on have in common; block_start_ is where its A begins.
    GemmBlock<T> chunk(std::ptrdiff_t k) {
        const std::ptrdiff_t length = taps_.length();
        const std::ptrdiff_t run = k / length;
        GemmBlock<T> block{};
        block_start_ = taps_.start(run, plane_.row) + k % length;
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
        block.k = std::min(kChunk, args_.depth() - k);
        block.accumulate = k > 0;
        return block;
    }

    // `at`: the offset of the strip in y and in saved.
    void finish(std::ptrdiff_t at, std::ptrdiff_t pixels) {
        const std::ptrdiff_t n = args_.out;
        T* c = args_.y + at;
        if (args_.epilogue == Epilogue::bias_activate) {
            kernels_.elementwise.bias_activate(args_.activation, args_.alpha,
                                               args_.bias ? args_.bias + group_ * n : nullptr, c,
                                               args_.y_pixel, pixels, n);
        } else if (args_.epilogue == Epilogue::multiply_slope) {
            const bool joined = args_.y_pixel == n;
            const std::ptrdiff_t lines = joined ? 1 : pixels;
            for (std::ptrdiff_t i = 0; i < lines; ++i) {
                const std::ptrdiff_t line = i * args_.y_pixel;
                kernels_.elementwise.activate_grad(args_.activation, args_.alpha, T{0},
                                                   args_.saved + at + line, c + line, c + line,
                                                   joined ? pixels * n : n);
            }
        }
    }

    const Kernels<T>& kernels_;
    const CorrelationArgs<T>& args_;
    const Plan<T>& plan_;
    Taps taps_;
    std::ptrdiff_t* skips_;  // [runs]
    T* copy_;                // the band with its padding
    Plane<T> plane_{};
    std::ptrdiff_t rows_ = 0;    // of the band
    std::ptrdiff_t offset_ = 0;  // of the band in y
    std::ptrdiff_t group_ = 0;
    std::ptrdiff_t block_start_ = 0;
};

}  // namespace

template <class T>
std::size_t correlation_scratch_bytes(const CorrelationArgs<T>& args, int threads) {
    return static_cast<std::size_t>(make_plan(args, threads).task_bytes * threads);
}

template <class T>
void correlate(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args, int threads,
               void* scratch) {
    const Plan<T> plan = make_plan(args, threads);
    const std::ptrdiff_t rows = args.images * args.h.out;
    team.parallel_for(plan.tasks, [&](std::ptrdiff_t i) {
        Share<T> share(kernels, args, plan, static_cast<char*>(scratch) + i * plan.task_bytes);
        share.run(rows * i / plan.tasks, rows * (i + 1) / plan.tasks);
    });
}

template std::size_t correlation_scratch_bytes<float>(const CorrelationArgs<float>&, int);
template std::size_t correlation_scratch_bytes<double>(const CorrelationArgs<double>&, int);
template void correlate<float>(const Kernels<float>&, Team&, const CorrelationArgs<float>&, int,
                               void*);
template void correlate<double>(const Kernels<double>&, Team&, const CorrelationArgs<double>&, int,
                                void*);

}  // namespace pybp
