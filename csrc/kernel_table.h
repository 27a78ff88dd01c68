// The contract between the kernels and the runtime: what every kernel computes, with shapes.
// Kernels are compiled once per ISA level and reached only through these tables of pointers.
//
// Rules for all kernels: no allocation, no exceptions, no threads, no Python. A kernel works on the
// range it is given; the runtime deals ranges to threads. Nothing is read or written outside the
// ranges named here. `accumulate == false` overwrites its output and never multiplies it by zero,
// so the output may hold NaN before. NaN in an input reaches every output that depends on it.
// The bits of one output element never depend on which range or tile it was computed in.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pybp {

enum class Activation {  // the order of pybp.program.activations.ACTIVATIONS
    identity,
    relu,
    straight_through_relu,
    leaky_relu,
    sigmoid,
    tanh,
    elu,
    selu,
    gelu,
    gelu_tanh,
    silu,
    mish,
    softplus,
    softsign,
    hard_tanh,
    hard_sigmoid,
    heaviside,
};

enum class LossFunction {  // the order of pybp.program.ops.ELEMENTWISE_LOSSES
    squared,
    absolute,
    huber,
    quantile,
    bce,
    kl_div,
    kl_div_log,
    poisson_log,
    poisson_rate,
};

template <class T>
struct ElementwiseKernels {
    // y[i] = act(x[i]); y may be x.
    void (*activate)(Activation function, T alpha, T beta, const T* x, T* y, std::ptrdiff_t count);
    // dx[i] = dy[i] * act'(saved[i]); dx may be dy.
    void (*activate_grad)(Activation function, T alpha, T beta, const T* saved, const T* dy, T* dx,
                          std::ptrdiff_t count);
    // y[r, c] = act(y[r, c] + b[c]) for y with row stride `stride`; b may be null.
    void (*bias_activate)(Activation function, T alpha, const T* b, T* y, std::ptrdiff_t stride,
                          std::ptrdiff_t rows, std::ptrdiff_t columns);
    // y[i] = act(a[i] + b[i]); y may be a or b.
    void (*add)(Activation function, T alpha, const T* a, const T* b, T* y, std::ptrdiff_t count);
    // y[i] = a[i] * b[i]; y may be a or b.
    void (*multiply)(const T* a, const T* b, T* y, std::ptrdiff_t count);
    // y[r, c] = act(x[r, c] + b[c]) for contiguous x, y [rows, columns].
    void (*bias)(Activation function, T alpha, const T* x, const T* b, T* y, std::ptrdiff_t rows,
                 std::ptrdiff_t columns);
    // Along the middle axis of [outer, size, inner]; log: the logarithm of the softmax.
    void (*softmax)(bool log, const T* x, T* y, std::ptrdiff_t outer, std::ptrdiff_t size,
                    std::ptrdiff_t inner);
    void (*softmax_grad)(bool log, const T* y, const T* dy, T* dx, std::ptrdiff_t outer,
                         std::ptrdiff_t size, std::ptrdiff_t inner);
    // y[i] = x[i] / (1 - p) where the mask of element `first + i` is 1, else 0 (csrc/kernels/
    // philox.h). x and y point at element `first`. The same call on dy gives the gradient.
    void (*dropout)(std::uint64_t seed, std::uint32_t stream, std::uint64_t step, double p,
                    const T* x, T* y, std::ptrdiff_t first, std::ptrdiff_t count);
    // y[r, c] = x[r, c] * factors[c], and 0 where the factor is 0, whatever x is; x, y are
    // contiguous [rows, columns].
    void (*drop_channels)(const T* factors, const T* x, T* y, std::ptrdiff_t rows,
                          std::ptrdiff_t columns);
    // y[c, r] = x[r, c]; x has row stride `stride`, y [columns, rows] is contiguous.
    void (*transpose)(const T* x, std::ptrdiff_t stride, T* y, std::ptrdiff_t rows,
                      std::ptrdiff_t columns);
    // sums[c] (+)= sum over r of x[r, c], c in [0, columns); rows in order, in blocks of kChunk.
    void (*column_sums)(const T* x, T* sums, std::ptrdiff_t stride, std::ptrdiff_t rows,
                        std::ptrdiff_t columns, bool accumulate);
    // The vector maths, for tests of their error bounds: y[i] = f(x[i]).
    void (*exp)(const T* x, T* y, std::ptrdiff_t count);
    void (*expm1)(const T* x, T* y, std::ptrdiff_t count);
    void (*log)(const T* x, T* y, std::ptrdiff_t count);
    void (*log1p)(const T* x, T* y, std::ptrdiff_t count);
    void (*tanh)(const T* x, T* y, std::ptrdiff_t count);
    void (*sigmoid)(const T* x, T* y, std::ptrdiff_t count);
    void (*normal_cdf)(const T* x, T* y, std::ptrdiff_t count);
};

// The losses work on rows that share one weight: row r weighs w = weight[r / rows_per_weight], or 1
// where weight is null. With l the loss of an element (or of a row) they write
//   dy = factor * w * l'       (dy may be null)
//   losses = scale * w * l     (losses may be null)
//   row_sums[r] = sum of scale * w * l over the row, in double.
template <class T>
struct LossRows {
    const T* prediction;  // [rows, columns]
    const T* weight;      // [ceil(rows / rows_per_weight)] or null
    std::ptrdiff_t rows_per_weight;
    T scale;
    T factor;
    T* dy;             // [rows, columns] or null
    T* losses;         // [rows, columns], or [rows] for losses of a row; or null
    double* row_sums;  // [rows]
    std::ptrdiff_t rows;
    std::ptrdiff_t columns;
};

template <class T>
struct LossKernels {
    void (*elementwise)(LossFunction function, T parameter, bool full, const LossRows<T>& rows,
                        const T* target);
    // column_weight, positive_weight [period] or null; the column of an element is its index in the
    // row modulo period (a row may hold several positions).
    void (*bce_with_logits)(const LossRows<T>& rows, const T* target, const T* column_weight,
                            const T* positive_weight, std::ptrdiff_t period);
    void (*norm)(const LossRows<T>& rows, const T* target);
    // labels [rows], each in [0, columns) or equal to ignore_index; class_weight [columns] or null.
    void (*label)(const LossRows<T>& rows, const std::int32_t* labels, const T* class_weight,
                  std::int32_t ignore_index, T label_smoothing, bool logits);
    void (*distribution)(const LossRows<T>& rows, const T* target, const T* class_weight,
                         T label_smoothing);
};

// The dense core. See csrc/kernels/gemm_tile.h for the tile and docs/kernels.md for the
// measurements.
//
//   C[i, j] (+)= sum over k of A[i, k] * B[k, j]
//
// Every element is summed the same way for any tile, range or thread count: k is cut at multiples
// of kChunk, each chunk is one chain of multiply-adds (fused where the level has them: all but v2)
// in rising k that starts at 0, and the chunks are added in rising order (to the old C first, if
// accumulating).
inline constexpr std::ptrdiff_t kChunk = 256;

// A strip of C, at most height(n) rows high, and the k it is summed over. B lies in panels `panel`
// columns wide:
//   A[i, k] = a[i * a_row + k * a_column]   with a_row == 1 or a_column == 1
// where A may also lie in runs (im2col by index: a run is what a window reads side by side): after
// the first `first_run` entries of k, and then after every `run`, the next entry of `skips` is
// added to the offset. In a plain matrix first_run == k.
//   B[k, j] = b[(j / panel) * b_panel + k * b_row + j % panel]
// so a plain row-major B has b_row = its stride and b_panel = panel, and packed panels have
// b_row = panel and b_panel = k * panel.
template <class T>
struct GemmBlock {
    const T* a;
    std::ptrdiff_t a_row;
    std::ptrdiff_t a_column;
    const T* b;
    std::ptrdiff_t b_row;
    std::ptrdiff_t b_panel;
    bool b_padded;  // numbers past n, up to the end of a vector, may be read; what they are is all
                    // one
    T* c;           // [m, n], rows c_row apart
    std::ptrdiff_t c_row;
    std::ptrdiff_t m;
    std::ptrdiff_t n;
    std::ptrdiff_t k;
    bool accumulate;
    std::ptrdiff_t first_run;     // in [1, k], or anything above
    std::ptrdiff_t run;           // not read where first_run >= k, nor are the skips
    const std::ptrdiff_t* skips;  // one for each run but the last
};

template <class T>
struct GemmKernels {
    std::ptrdiff_t rows;         // the tile's height
    std::ptrdiff_t panel;        // the tile's width: the columns of a panel of B
    std::ptrdiff_t narrow_rows;  // the height of a tile of up to `narrow` columns: one vector
    std::ptrdiff_t narrow;
    // One chunk: 1 <= k <= kChunk and 1 <= m <= height(n).
    void (*strip)(const GemmBlock<T>& block);
    // Any k, 1 <= m <= kFewRows, a_column == 1, nothing packed: B[k, j] = b[k * b_row + j], or
    // b[j * b_row + k] if transposed; b_panel is not used.
    void (*few_rows)(const GemmBlock<T>& block, bool transposed);
    // Panels of B [k, n] with B[k, j] = b[k * stride + j], or b[j * stride + k] if transposed.
    // Writes round_up(n, panel) * k values; columns past n are 0.
    void (*pack_b)(const T* b, std::ptrdiff_t stride, bool transposed, std::ptrdiff_t k,
                   std::ptrdiff_t n, T* packed);

    // packed[l * rows + i] = a[l * stride + i]: as many columns of a [k, rows] as a tile of any
    // width has rows, side by side, as it reads them.
    void (*pack_a)(const T* a, std::ptrdiff_t stride, std::ptrdiff_t k, std::ptrdiff_t rows,
                   T* packed);

    std::ptrdiff_t height(std::ptrdiff_t n) const { return n <= narrow ? narrow_rows : rows; }
};

inline constexpr std::ptrdiff_t kFewRows = 4;

}  // namespace pybp

#include "tables/depthwise.h"
#include "tables/embedding.h"
#include "tables/lanes.h"
#include "tables/norm.h"
#include "tables/pool.h"
#include "tables/recurrent.h"
#include "tables/regularize.h"
#include "tables/roof.h"
#include "tables/update.h"
