#include "correlate_lanes.h"

#include <algorithm>

#include "parts.h"
#include "scratch.h"

namespace pybp {
namespace {

// Up to so many channels of the output: more fill the vectors of channels well enough.
constexpr std::ptrdiff_t kMostOut = 12;
// Gradients of up to so many numbers: each lane has a copy.
constexpr std::ptrdiff_t kMostWeight = 1024;
// The plane of eight images stays in a second-level cache.
constexpr std::ptrdiff_t kPlaneBytes = 512 * 1024;
// The rows of dy that are summed as one chain stay in a first-level cache.
constexpr std::ptrdiff_t kWeightBytes = 16 * 1024;
constexpr std::ptrdiff_t kSerialWork = 256 * 1024;
constexpr std::ptrdiff_t kMostParts = 16;

// An image [height, width, channels] in lanes, with the columns of its padding.
template <class T>
class LanesPlane {
  public:
    LanesPlane(const Kernels<T>& kernels, const WindowAxis& h, const WindowAxis& w,
               std::ptrdiff_t channels)
        : lanes_(kernels.lanes), h_(h), w_(w), channels_(channels) {
        const std::ptrdiff_t width = w.reach(w.out);
        first_ = std::clamp(w.before, std::ptrdiff_t{0}, width);
        last_ = std::clamp(w.size + w.before, first_, width);
    }

    static std::ptrdiff_t numbers(const WindowAxis& h, const WindowAxis& w, std::ptrdiff_t channels,
                                  std::ptrdiff_t lanes) {
        return h.size * w.reach(w.out) * channels * lanes;
    }
    std::ptrdiff_t pixel() const { return channels_ * lanes_.lanes; }
    std::ptrdiff_t row() const { return w_.reach(w_.out) * pixel(); }
    const T* at(std::ptrdiff_t i) const { return plane_ + i * row(); }

    // Takes the memory, and clears the padding in it.
    void use(T* plane) {
        plane_ = plane;
        const std::ptrdiff_t width = w_.reach(w_.out);
        for (std::ptrdiff_t i = 0; i < h_.size; ++i) {
            T* line = plane + i * row();
            std::fill_n(line, first_ * pixel(), T{0});
            std::fill_n(line + last_ * pixel(), (width - last_) * pixel(), T{0});
        }
    }

    // The images that are read from now on, `image` numbers apart.
    void begin(const T* x, std::ptrdiff_t image) {
        x_ = x;
        image_ = image;
        ready_ = 0;
    }

    // Rows [begin, end) are asked for; neither falls from call to call.
    void read(std::ptrdiff_t begin, std::ptrdiff_t end) {
        const std::ptrdiff_t columns = (last_ - first_) * channels_;
        for (std::ptrdiff_t i = std::max(begin, ready_); i < end; ++i) {
            lanes_.from_images(x_ + (i * w_.size + first_ - w_.before) * channels_, image_, columns,
                               plane_ + i * row() + first_ * pixel());
        }
        ready_ = std::max(ready_, end);
    }

  private:
    const LanesKernels<T>& lanes_;
    const WindowAxis& h_;
    const WindowAxis& w_;
    std::ptrdiff_t channels_;
    std::ptrdiff_t first_ = 0;  // columns of the plane that lie in the image
    std::ptrdiff_t last_ = 0;
    T* plane_ = nullptr;
    const T* x_ = nullptr;
    std::ptrdiff_t image_ = 0;
    std::ptrdiff_t ready_ = 0;
};

template <class Args>
bool windows_allow_lanes(const Args& args, std::ptrdiff_t item) {
    return args.groups == 1 && !args.flip && args.w.dilation == 1 &&
           LanesPlane<char>::numbers(args.h, args.w, args.in, 8) * item <= kPlaneBytes;
}

template <class T>
bool allows_lanes(const CorrelationArgs<T>& args) {
    return windows_allow_lanes(args, sizeof(T)) && args.out <= kMostOut && args.y_pixel == args.out;
}

template <class T>
bool allows_lanes(const CorrelationWeightArgs<T>& args) {
    return windows_allow_lanes(args, sizeof(T)) && args.size() <= kMostWeight &&
           args.w.out <= kChunk;
}

// What one task works in.
template <class T>
struct Memory {
    T* plane;
    T* row;   // of outputs
    T* bias;  // for each lane

    Memory(const CorrelationArgs<T>& args, std::ptrdiff_t lanes, Scratch& scratch)
        : plane(scratch.take<T>(LanesPlane<T>::numbers(args.h, args.w, args.in, lanes))),
          row(scratch.take<T>(args.w.out * args.out * lanes)),
          bias(scratch.take<T>(args.out * lanes)) {}
};

// Rows of outputs of blocks of images.
template <class T>
class Share {
  public:
    Share(const Kernels<T>& kernels, const CorrelationArgs<T>& args, const Memory<T>& memory)
        : kernels_(kernels),
          args_(args),
          lanes_(kernels.lanes.lanes),
          memory_(memory),
          plane_(kernels, args.h, args.w, args.in) {
        plane_.use(memory.plane);
        if (!args.bias) return;
        for (std::ptrdiff_t i = 0; i < args.out * lanes_; ++i) {
            memory.bias[i] = args.bias[i / lanes_];
        }
    }

    void run(std::ptrdiff_t begin, std::ptrdiff_t end) {
        const std::ptrdiff_t image = args_.h.size * args_.w.size * args_.in;
        for (std::ptrdiff_t r = begin; r < end; ++r) {
            const std::ptrdiff_t first = r / args_.h.out * lanes_;
            if (r == begin || r % args_.h.out == 0) plane_.begin(args_.x + first * image, image);
            run_row(r % args_.h.out, first * args_.y_image + r % args_.h.out * args_.y_row);
        }
    }

  private:
    // Output row p of a block; its first image's is at `offset` in y.
    void run_row(std::ptrdiff_t p, std::ptrdiff_t offset) {
        const Range taps = args_.h.taps_inside(p);
        if (taps.empty()) {
            std::fill_n(memory_.row, args_.w.out * args_.out * lanes_, T{0});
        } else {
            const std::ptrdiff_t first = args_.h.start(p) + taps.begin * args_.h.dilation;
            const std::ptrdiff_t last = args_.h.start(p) + (taps.end - 1) * args_.h.dilation;
            plane_.read(std::max(args_.h.start(p), std::ptrdiff_t{0}), last + 1);
            const std::ptrdiff_t run = args_.w.kernel * args_.in;
            sum(first, taps.begin * run, taps.end * run);
        }
        finish(offset);
    }

    // Sums k in [begin, end), of which the first lies in row `first` of the plane.
    void sum(std::ptrdiff_t first, std::ptrdiff_t begin, std::ptrdiff_t end) {
        const std::ptrdiff_t panel = args_.packed ? kernels_.gemm.panel : args_.out;
        LanesRow<T> row{};
        row.run = args_.w.kernel * args_.in;
        row.channels = args_.in;
        row.stride = args_.w.stride;
        row.before = args_.w.before;
        row.size = args_.w.size;
        row.x_run = args_.h.dilation * plane_.row();
        row.x_pixel = args_.w.stride * plane_.pixel();
        row.w_row = args_.packed ? panel : args_.b_row;
        row.y_pixel = args_.out * lanes_;
        row.pixels = args_.w.out;
        for (std::ptrdiff_t k = begin; k < end;) {
            const std::ptrdiff_t next = std::min(end, k / kChunk * kChunk + kChunk);
            const std::ptrdiff_t from = k / row.run * row.run;
            row.begin = k - from;
            row.end = next - from;
            row.accumulate = k > begin;
            row.x = plane_.at(first + (from - begin) / row.run * args_.h.dilation);
            for (std::ptrdiff_t j = 0; j < args_.out; j += panel) {
                row.w = args_.b + j * args_.depth() + from * row.w_row;
                row.y = memory_.row + j * lanes_;
                row.n = std::min(panel, args_.out - j);
                kernels_.lanes.row(row);
            }
            k = next;
        }
    }

    void finish(std::ptrdiff_t offset) {
        const std::ptrdiff_t count = args_.w.out * args_.out;
        if (args_.epilogue == Epilogue::bias_activate) {
            const std::ptrdiff_t columns = args_.out * lanes_;
            kernels_.elementwise.bias_activate(args_.activation, args_.alpha,
                                               args_.bias ? memory_.bias : nullptr, memory_.row,
                                               columns, args_.w.out, columns);
        }
        kernels_.lanes.to_images(memory_.row, count, args_.y + offset, args_.y_image);
        if (args_.epilogue != Epilogue::multiply_slope) return;
        for (std::ptrdiff_t l = 0; l < lanes_; ++l) {
            T* y = args_.y + offset + l * args_.y_image;
            kernels_.elementwise.activate_grad(args_.activation, args_.alpha, T{0},
                                               args_.saved + offset + l * args_.y_image, y, y,
                                               count);
        }
    }

    const Kernels<T>& kernels_;
    const CorrelationArgs<T>& args_;
    std::ptrdiff_t lanes_;
    const Memory<T>& memory_;
    LanesPlane<T> plane_;
};

// ------------------------------------------------------------------------- gradient by the weight

// Parts of the blocks of images, each with sums of its own.
inline std::ptrdiff_t weight_parts(std::ptrdiff_t images, std::ptrdiff_t lanes) {
    return std::min(kMostParts, images / lanes);
}

template <class T>
std::ptrdiff_t rows_at_once(const CorrelationWeightArgs<T>& args, std::ptrdiff_t lanes) {
    const std::ptrdiff_t bytes =
        args.w.out * args.out * lanes * static_cast<std::ptrdiff_t>(sizeof(T));
    return std::clamp(std::min(kWeightBytes / bytes, kChunk / args.w.out), std::ptrdiff_t{1},
                      args.h.out);
}

template <class T>
struct WeightMemory {
    T* plane;
    T* dy;    // some rows of outputs
    T* sums;  // [depth, out, lanes]

    WeightMemory(const CorrelationWeightArgs<T>& args, std::ptrdiff_t lanes, Scratch& scratch)
        : plane(scratch.take<T>(LanesPlane<T>::numbers(args.h, args.w, args.in, lanes))),
          dy(scratch.take<T>(rows_at_once(args, lanes) * args.w.out * args.out * lanes)),
          sums(scratch.take<T>(args.size() * lanes)) {}
};

// Blocks [begin, end) of images.
template <class T>
class WeightShare {
  public:
    WeightShare(const Kernels<T>& kernels, const CorrelationWeightArgs<T>& args,
                const WeightMemory<T>& memory)
        : kernels_(kernels),
          args_(args),
          lanes_(kernels.lanes.lanes),
          memory_(memory),
          plane_(kernels, args.h, args.w, args.in) {
        plane_.use(memory.plane);
        std::fill_n(memory.sums, args.size() * lanes_, T{0});
    }

    void run(std::ptrdiff_t begin, std::ptrdiff_t end, T* dw) {
        const std::ptrdiff_t image = args_.h.size * args_.w.size * args_.in;
        const std::ptrdiff_t rows = rows_at_once(args_, lanes_);
        for (std::ptrdiff_t block = begin; block < end; ++block) {
            plane_.begin(args_.x + block * lanes_ * image, image);
            for (std::ptrdiff_t p = 0; p < args_.h.out; p += rows) {
                run_rows(block * lanes_, {p, std::min(p + rows, args_.h.out)});
            }
        }
        kernels_.lanes.join(memory_.sums, args_.size(), dw);
    }

  private:
    void run_rows(std::ptrdiff_t first, const Range& rows) {
        const WindowAxis& h = args_.h;
        const std::ptrdiff_t line = args_.w.out * args_.out;
        const std::ptrdiff_t image = h.out * line;
        kernels_.lanes.from_images(args_.dy + first * image + rows.begin * line, image,
                                   (rows.end - rows.begin) * line, memory_.dy);
        plane_.read(std::clamp(h.start(rows.begin), std::ptrdiff_t{0}, h.size),
                    std::clamp(h.start(rows.end - 1) + h.span(), std::ptrdiff_t{0}, h.size));
        LanesWeight<T> weight{};
        weight.x_row = h.stride * plane_.row();
        weight.x_pixel = args_.w.stride * plane_.pixel();
        weight.pixels = args_.w.out;
        weight.taps = args_.w.kernel * args_.in;
        weight.n = args_.out;
        for (std::ptrdiff_t u = 0; u < h.kernel; ++u) {
            const Range inside = h.outputs_inside(u);
            const Range part{std::max(rows.begin, inside.begin), std::min(rows.end, inside.end)};
            if (part.empty()) continue;
            weight.x = plane_.at(h.start(part.begin) + u * h.dilation);
            weight.dy = memory_.dy + (part.begin - rows.begin) * line * lanes_;
            weight.rows = part.end - part.begin;
            weight.sums = memory_.sums + u * weight.taps * args_.out * lanes_;
            kernels_.lanes.weight(weight);
        }
    }

    const Kernels<T>& kernels_;
    const CorrelationWeightArgs<T>& args_;
    std::ptrdiff_t lanes_;
    const WeightMemory<T>& memory_;
    LanesPlane<T> plane_;
};

template <class T, class Args, class Of>
std::ptrdiff_t task_bytes(const Args& args, std::ptrdiff_t lanes) {
    Scratch scratch;
    Of(args, lanes, scratch);
    return scratch.used();
}

}  // namespace

template <class T>
std::ptrdiff_t images_in_lanes(const Kernels<T>& kernels, const CorrelationArgs<T>& args) {
    const std::ptrdiff_t lanes = kernels.lanes.lanes;
    return allows_lanes(args) ? args.images / lanes * lanes : 0;
}

template <class T>
std::ptrdiff_t images_in_lanes(const Kernels<T>& kernels, const CorrelationWeightArgs<T>& args) {
    const std::ptrdiff_t lanes = kernels.lanes.lanes;
    return allows_lanes(args) ? args.images / lanes * lanes : 0;
}

template <class T>
std::size_t lanes_scratch_bytes(const CorrelationArgs<T>& args, int threads) {
    if (!allows_lanes(args)) return 0;
    return static_cast<std::size_t>(threads *
                                    task_bytes<T, CorrelationArgs<T>, Memory<T>>(args, kMostLanes));
}

template <class T>
std::size_t lanes_scratch_bytes(const CorrelationWeightArgs<T>& args, int) {
    if (!allows_lanes(args)) return 0;
    const std::ptrdiff_t task =
        task_bytes<T, CorrelationWeightArgs<T>, WeightMemory<T>>(args, kMostLanes);
    return static_cast<std::size_t>(
        kMostParts * (task + part_stride(args.size()) * static_cast<std::ptrdiff_t>(sizeof(T))));
}

template <class T>
void correlate_lanes(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args,
                     int threads, void* scratch) {
    const std::ptrdiff_t lanes = kernels.lanes.lanes;
    const std::ptrdiff_t bytes = task_bytes<T, CorrelationArgs<T>, Memory<T>>(args, lanes);
    const std::ptrdiff_t rows = args.images / lanes * args.h.out;
    const std::ptrdiff_t work = rows * lanes * args.w.out * args.depth() * args.out;
    const std::ptrdiff_t tasks = work <= kSerialWork ? 1 : std::min<std::ptrdiff_t>(threads, rows);
    team.parallel_for(tasks, [&](std::ptrdiff_t i) {
        Scratch parts(static_cast<char*>(scratch) + i * bytes);
        const Memory<T> memory(args, lanes, parts);
        Share<T>(kernels, args, memory).run(rows * i / tasks, rows * (i + 1) / tasks);
    });
}

template <class T>
void correlate_weight_lanes(const Kernels<T>& kernels, Team& team,
                            const CorrelationWeightArgs<T>& args, void* scratch) {
    const std::ptrdiff_t lanes = kernels.lanes.lanes;
    const std::ptrdiff_t bytes =
        task_bytes<T, CorrelationWeightArgs<T>, WeightMemory<T>>(args, lanes);
    const std::ptrdiff_t blocks = args.images / lanes;
    const std::ptrdiff_t parts = weight_parts(args.images, lanes);
    T* sums = static_cast<T*>(scratch);
    char* work = reinterpret_cast<char*>(sums + parts * part_stride(args.size()));
    team.parallel_for(parts, [&](std::ptrdiff_t i) {
        Scratch space(work + i * bytes);
        const WeightMemory<T> memory(args, lanes, space);
        WeightShare<T>(kernels, args, memory)
            .run(blocks * i / parts, blocks * (i + 1) / parts, sums + i * part_stride(args.size()));
    });
    add_parts(team, sums, parts, args.size(), args.dw, args.accumulate);
}

#define PYBP_INSTANTIATE(T)                                                                    \
    template std::ptrdiff_t images_in_lanes<T>(const Kernels<T>&, const CorrelationArgs<T>&);  \
    template std::ptrdiff_t images_in_lanes<T>(const Kernels<T>&,                              \
                                               const CorrelationWeightArgs<T>&);               \
    template std::size_t lanes_scratch_bytes<T>(const CorrelationArgs<T>&, int);               \
    template std::size_t lanes_scratch_bytes<T>(const CorrelationWeightArgs<T>&, int);         \
    template void correlate_lanes<T>(const Kernels<T>&, Team&, const CorrelationArgs<T>&, int, \
                                     void*);                                                   \
    template void correlate_weight_lanes<T>(const Kernels<T>&, Team&,                          \
                                            const CorrelationWeightArgs<T>&, void*);
PYBP_INSTANTIATE(float)
PYBP_INSTANTIATE(double)
#undef PYBP_INSTANTIATE

}  // namespace pybp
