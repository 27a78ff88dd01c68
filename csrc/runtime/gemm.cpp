#include "gemm.h"

#include <algorithm>

#include "rounding.h"

namespace pybp {

namespace {

// A packed block of B takes half of a 1 MiB second-level cache; the rest is for A and C.
constexpr std::ptrdiff_t kPackedBytes = 512 * 1024;
// Up to this height B is read where it lies: packing gains a few per cent for the rows above it,
// where rows of B lie a page apart, and costs more than that below.
constexpr std::ptrdiff_t kUnpackedRows = 512;
// Rows a multiple of so many bytes apart share few places in the caches and push each other out:
// then operands are packed earlier, from these sizes of a product on.
constexpr std::ptrdiff_t kFarRowsOfB = 2048;
constexpr std::ptrdiff_t kFarRowsOfA = 4096;
constexpr std::ptrdiff_t kFarColumnsOfA = 1024;
constexpr std::ptrdiff_t kFarM = 64;
constexpr std::ptrdiff_t kFarN = 128;
constexpr std::ptrdiff_t kFarK = 128;
// A transposed A (a weight gradient), of whose rows a tile reads a few numbers only, is packed
// wherever both sides are large, and B with it.
constexpr std::ptrdiff_t kStripRows = 96;
constexpr std::ptrdiff_t kStripColumns = 512;
// So many rows of A are packed at once; a plain A has a gap behind each.
constexpr std::ptrdiff_t kPackedRows = 96;
constexpr std::ptrdiff_t kGap = 16;
// Rows of a transposed A that are dealt to all strips before the next ones: they stay in cache.
constexpr std::ptrdiff_t kDealtRows = 32;
// Below this many multiply-adds a second thread costs more than it brings.
constexpr std::ptrdiff_t kSerialWork = 512 * 1024;
// What it costs to read and to pack a number of an operand, in multiply-adds.
constexpr std::ptrdiff_t kReadCost = 4;
constexpr std::ptrdiff_t kPackCost = 16;

// The choices for one product, all made in make_plan().
struct Plan {
    std::ptrdiff_t row_tasks = 1;
    std::ptrdiff_t column_tasks = 1;
    bool few_rows = false;
    bool pack_b = false;
    bool pack_a = false;
    std::ptrdiff_t block_columns = 0;  // of C between two walks over A
};

// How many threads share the rows, and how many the columns: the split with the least work for the
// one that has most.
template <class T>
void split(const Kernels<T>& kernels, const GemmArgs<T>& args, int threads, Plan& plan) {
    if (threads == 1 || args.m * args.n * args.k <= kSerialWork) return;
    const std::ptrdiff_t panels = divide_up(args.n, kernels.gemm.panel);
    const std::ptrdiff_t most_down =
        plan.few_rows ? 1 : std::min<std::ptrdiff_t>(threads, divide_up(args.m, kernels.gemm.rows));
    std::ptrdiff_t best = -1;
    for (std::ptrdiff_t down = 1; down <= most_down; ++down) {
        const std::ptrdiff_t across = std::min<std::ptrdiff_t>(threads / down, panels);
        const std::ptrdiff_t rows = divide_up(args.m, down);
        const std::ptrdiff_t columns = divide_up(panels, across) * kernels.gemm.panel;
        const std::ptrdiff_t cost =
            rows * columns + kReadCost * (rows + columns) + (plan.pack_b ? kPackCost * columns : 0);
        if (best < 0 || cost < best) {
            best = cost;
            plan.row_tasks = down;
            plan.column_tasks = across;
        }
    }
}

template <class T>
bool apart(std::ptrdiff_t stride, std::ptrdiff_t bytes) {
    return stride * static_cast<std::ptrdiff_t>(sizeof(T)) % bytes == 0;
}

// The choice of path, by shape alone. docs/kernels.md has the measurements behind it.
template <class T>
Plan make_plan(const Kernels<T>& kernels, const GemmArgs<T>& args, int threads) {
    Plan plan;
    plan.few_rows = args.m <= kFewRows && !args.transpose_a;
    const bool large = args.m >= kFarM && args.n >= kFarN && args.k >= kFarK;
    if (args.transpose_a) {
        const bool far = large && apart<T>(args.a_stride, kFarColumnsOfA);
        plan.pack_a = args.m >= kStripRows && (args.n >= kStripColumns || far);
    } else {
        plan.pack_a = large && apart<T>(args.a_stride, kFarRowsOfA);
    }
    plan.pack_b = !plan.few_rows && (args.transpose_b || args.m > kUnpackedRows ||
                                     (args.transpose_a && plan.pack_a) ||
                                     (large && apart<T>(args.b_stride, kFarRowsOfB)));
    plan.block_columns =
        plan.few_rows ? args.n : kPackedBytes / (kChunk * static_cast<std::ptrdiff_t>(sizeof(T)));
    split(kernels, args, threads, plan);
    return plan;
}

// The numbers that a packed part of A may take; none where it is never packed.
std::ptrdiff_t packed_a_size(std::ptrdiff_t m, std::ptrdiff_t k) {
    if (m < std::min(kFarM, kStripRows)) return 0;
    return std::min(m, kPackedRows) * round_up(std::min(k, kChunk) + kGap, 64);
}

// One thread's part of the product: rows x columns of C, all of k.
template <class T>
class Part {
  public:
    Part(const GemmKernels<T>& kernels, const ElementwiseKernels<T>& elementwise,
         const GemmArgs<T>& args, const Plan& plan, T* scratch)
        : kernels_(kernels),
          elementwise_(elementwise),
          args_(args),
          plan_(plan),
          packed_a_(scratch),
          packed_b_(scratch + packed_a_size(args.m, args.k)) {}

    void run(std::ptrdiff_t row_begin, std::ptrdiff_t row_end, std::ptrdiff_t column_begin,
             std::ptrdiff_t column_end) {
        row_begin_ = row_begin;
        row_end_ = row_end;
        for (std::ptrdiff_t j = column_begin; j < column_end; j += plan_.block_columns) {
            column_ = j;
            columns_ = std::min(plan_.block_columns, column_end - j);
            if (args_.k <= 0) {
                finish(row_begin_, row_end_ - row_begin_);
            } else if (plan_.few_rows) {
                run_few_rows();
            } else {
                run_columns();
            }
        }
    }

  private:
    const T* a_at(std::ptrdiff_t i, std::ptrdiff_t k) const {
        return args_.transpose_a ? args_.a + k * args_.a_stride + i
                                 : args_.a + i * args_.a_stride + k;
    }
    const T* b_at(std::ptrdiff_t k, std::ptrdiff_t j) const {
        return args_.transpose_b ? args_.b + j * args_.b_stride + k
                                 : args_.b + k * args_.b_stride + j;
    }

    GemmBlock<T> block(std::ptrdiff_t row, std::ptrdiff_t rows, std::ptrdiff_t k,
                       std::ptrdiff_t length) const {
        GemmBlock<T> block;
        block.a = a_at(row, k);
        block.a_row = args_.transpose_a ? 1 : args_.a_stride;
        block.a_column = args_.transpose_a ? args_.a_stride : 1;
        block.b = b_at(k, column_);
        block.b_row = args_.b_stride;
        block.b_panel = kernels_.panel;
        // The rows of B after the chunk may be read where the last one ends within a vector.
        block.b_padded =
            !args_.transpose_b && (args_.k - k - length) * args_.b_stride >= kernels_.panel;
        block.c = args_.c + row * args_.c_stride + column_;
        block.c_row = args_.c_stride;
        block.m = rows;
        block.n = columns_;
        block.k = length;
        block.accumulate = args_.accumulate || k > 0;
        block.first_run = length;
        block.run = 0;
        block.skips = nullptr;
        return block;
    }

    void run_few_rows() {
        kernels_.few_rows(block(row_begin_, row_end_ - row_begin_, 0, args_.k), args_.transpose_b);
        finish(row_begin_, row_end_ - row_begin_);
    }

    void run_columns() {
        for (std::ptrdiff_t k = 0; k < args_.k; k += kChunk) {
            const std::ptrdiff_t length = std::min(kChunk, args_.k - k);
            if (plan_.pack_b) {
                kernels_.pack_b(b_at(k, column_), args_.b_stride, args_.transpose_b, length,
                                columns_, packed_b_);
            }
            run_chunk(k, length);
        }
    }

    // All strips of one chunk of k.
    void run_chunk(std::ptrdiff_t k, std::ptrdiff_t length) {
        const std::ptrdiff_t height = kernels_.height(columns_);
        strips_ = divide_up(row_end_ - row_begin_, height);
        const std::ptrdiff_t at_once = plan_.pack_a ? kPackedRows / height : strips_;
        for (std::ptrdiff_t first = 0; first < strips_; first += at_once) {
            const std::ptrdiff_t end = std::min(first + at_once, strips_);
            if (plan_.pack_a) pack_a(first, end, k, length);
            for (std::ptrdiff_t strip = first; strip < end; ++strip) {
                run_strip(strip, row_of(first), k, length);
            }
        }
    }

    // Where a strip begins. Rows are dealt evenly: 16 rows are 8 + 8, not 14 + 2.
    std::ptrdiff_t row_of(std::ptrdiff_t strip) const {
        return row_begin_ + (row_end_ - row_begin_) * strip / strips_;
    }

    void run_strip(std::ptrdiff_t strip, std::ptrdiff_t first_packed, std::ptrdiff_t k,
                   std::ptrdiff_t length) const {
        const std::ptrdiff_t row = row_of(strip);
        const std::ptrdiff_t rows = row_of(strip + 1) - row;
        GemmBlock<T> part = block(row, rows, k, length);
        if (plan_.pack_a && args_.transpose_a) {
            part.a = packed_a_ + (row - first_packed) * length;
            part.a_column = rows;
        } else if (plan_.pack_a) {
            part.a = packed_a_ + (row - first_packed) * (length + kGap);
            part.a_row = length + kGap;
        }
        if (plan_.pack_b) {
            part.b = packed_b_;
            part.b_row = kernels_.panel;
            part.b_panel = length * kernels_.panel;
            part.b_padded = true;
        }
        kernels_.strip(part);
        if (k + length == args_.k) finish(row, rows);
    }

    // Strips [first, end) of A: of a transposed one as blocks [length, rows of the strip] one after
    // the other, of a plain one row for row.
    void pack_a(std::ptrdiff_t first, std::ptrdiff_t end, std::ptrdiff_t k,
                std::ptrdiff_t length) const {
        const std::ptrdiff_t begin = row_of(first);
        if (!args_.transpose_a) {
            for (std::ptrdiff_t row = begin; row < row_of(end); ++row) {
                std::copy_n(a_at(row, k), length, packed_a_ + (row - begin) * (length + kGap));
            }
            return;
        }
        for (std::ptrdiff_t l = 0; l < length; l += kDealtRows) {
            const std::ptrdiff_t dealt = std::min(kDealtRows, length - l);
            for (std::ptrdiff_t strip = first; strip < end; ++strip) {
                const std::ptrdiff_t row = row_of(strip);
                const std::ptrdiff_t rows = row_of(strip + 1) - row;
                kernels_.pack_a(a_at(row, k + l), args_.a_stride, dealt, rows,
                                packed_a_ + (row - begin) * length + l * rows);
            }
        }
    }

    // The epilogue, on rows that were just written.
    void finish(std::ptrdiff_t row, std::ptrdiff_t rows) const {
        T* c = args_.c + row * args_.c_stride + column_;
        if (args_.epilogue == Epilogue::bias_activate) {
            elementwise_.bias_activate(args_.activation, args_.alpha,
                                       args_.bias ? args_.bias + column_ : nullptr, c,
                                       args_.c_stride, rows, columns_);
        } else if (args_.epilogue == Epilogue::multiply_slope) {
            for (std::ptrdiff_t i = 0; i < rows; ++i) {
                const T* saved = args_.saved + (row + i) * args_.saved_stride + column_;
                T* line = c + i * args_.c_stride;
                elementwise_.activate_grad(args_.activation, args_.alpha, T{0}, saved, line, line,
                                           columns_);
            }
        }
    }

    const GemmKernels<T>& kernels_;
    const ElementwiseKernels<T>& elementwise_;
    const GemmArgs<T>& args_;
    const Plan& plan_;
    T* packed_a_;
    T* packed_b_;
    std::ptrdiff_t row_begin_ = 0;
    std::ptrdiff_t row_end_ = 0;
    std::ptrdiff_t strips_ = 1;
    std::ptrdiff_t column_ = 0;
    std::ptrdiff_t columns_ = 0;
};

// The numbers of scratch for one thread, a multiple of 64 bytes.
template <class T>
std::ptrdiff_t scratch_of_thread(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
    const std::ptrdiff_t most = kPackedBytes / (kChunk * static_cast<std::ptrdiff_t>(sizeof(T)));
    const std::ptrdiff_t columns = std::min(round_up(n, kWidestPanel), most);
    return packed_a_size(m, k) + round_up(columns * std::min(k, kChunk), 64);
}

// The product over an empty k: C is 0, or stays.
template <class T>
void clear(const GemmArgs<T>& args) {
    for (std::ptrdiff_t i = 0; i < args.m && !args.accumulate; ++i) {
        std::fill_n(args.c + i * args.c_stride, args.n, T{0});
    }
}

// Where part `index` of `parts` begins, in units of `unit`.
std::ptrdiff_t part_begin(std::ptrdiff_t total, std::ptrdiff_t unit, std::ptrdiff_t parts,
                          std::ptrdiff_t index) {
    return std::min(total, divide_up(total, unit) * index / parts * unit);
}

}  // namespace

template <class T>
std::size_t gemm_scratch_bytes(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int threads) {
    if (m <= 0) return 0;
    return static_cast<std::size_t>(scratch_of_thread<T>(m, n, k) * threads) * sizeof(T);
}

template <class T>
void gemm(const Kernels<T>& kernels, Team& team, const GemmArgs<T>& args, int threads,
          void* scratch) {
    if (args.m <= 0 || args.n <= 0) return;
    if (args.k <= 0) clear(args);
    Plan plan = make_plan(kernels, args, threads);
    const std::ptrdiff_t per_thread = scratch_of_thread<T>(args.m, args.n, args.k);
    team.parallel_for(plan.row_tasks * plan.column_tasks, [&](std::ptrdiff_t task) {
        const std::ptrdiff_t down = task / plan.column_tasks;
        const std::ptrdiff_t across = task % plan.column_tasks;
        Part<T> part(kernels.gemm, kernels.elementwise, args, plan,
                     static_cast<T*>(scratch) + task * per_thread);
        part.run(part_begin(args.m, 1, plan.row_tasks, down),
                 part_begin(args.m, 1, plan.row_tasks, down + 1),
                 part_begin(args.n, kernels.gemm.panel, plan.column_tasks, across),
                 part_begin(args.n, kernels.gemm.panel, plan.column_tasks, across + 1));
    });
}

template std::size_t gemm_scratch_bytes<float>(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, int);
template std::size_t gemm_scratch_bytes<double>(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t,
                                                int);
template void gemm<float>(const Kernels<float>&, Team&, const GemmArgs<float>&, int, void*);
template void gemm<double>(const Kernels<double>&, Team&, const GemmArgs<double>&, int, void*);

}  // namespace pybp
