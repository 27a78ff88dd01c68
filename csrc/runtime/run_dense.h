// The dense ops: each is one matrix product with its work on the finished rows.
#pragma once

#include "gemm.h"
#include "step.h"

namespace pybp {

template <class T>
std::ptrdiff_t dense_scratch(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int threads) {
    return static_cast<std::ptrdiff_t>(gemm_scratch_bytes<T>(m, n, k, threads));
}

template <class T>
std::ptrdiff_t scratch_bytes(const Dense& op, const Extents& extents, int threads) {
    const std::ptrdiff_t in = extents.last(op.x);
    return dense_scratch<T>(extents.size(op.x) / in, extents.last(op.w), in, threads);
}

template <class T>
void run(const Dense& op, const Step<T>& step) {
    const std::ptrdiff_t in = step.extents.last(op.x);
    const std::ptrdiff_t out = step.extents.last(op.w);
    GemmArgs<T> args{};
    args.a = step.data(op.x);  // [rows, in]
    args.a_stride = in;
    args.b = step.data(op.w);  // [in, out]
    args.b_stride = out;
    args.c = step.data(op.y);  // [rows, out]
    args.c_stride = out;
    args.m = step.extents.size(op.x) / in;
    args.n = out;
    args.k = in;
    if (op.b.present() || op.activation != Activation::identity) {
        args.epilogue = Epilogue::bias_activate;
        args.bias = step.data(op.b);
        args.activation = op.activation;
        args.alpha = static_cast<T>(op.alpha);
    }
    gemm(step.kernels, step.team, args, step.threads, step.scratch);
}

template <class T>
std::ptrdiff_t scratch_bytes(const DenseGradInput& op, const Extents& extents, int threads) {
    const std::ptrdiff_t out = extents.last(op.dy);
    return dense_scratch<T>(extents.size(op.dy) / out, extents.last(op.dx), out, threads);
}

template <class T>
void run(const DenseGradInput& op, const Step<T>& step) {
    const std::ptrdiff_t in = step.extents.last(op.dx);
    const std::ptrdiff_t out = step.extents.last(op.dy);
    GemmArgs<T> args{};
    args.a = step.data(op.dy);  // [rows, out]
    args.a_stride = out;
    args.b = step.data(op.w);  // [in, out]
    args.b_stride = out;
    args.transpose_b = true;
    args.c = step.data(op.dx);  // [rows, in]
    args.c_stride = in;
    args.m = step.extents.size(op.dy) / out;
    args.n = in;
    args.k = out;
    if (op.x.present()) {
        args.epilogue = Epilogue::multiply_slope;
        args.saved = step.data(op.x);
        args.saved_stride = in;
        args.activation = op.activation;
        args.alpha = static_cast<T>(op.alpha);
    }
    gemm(step.kernels, step.team, args, step.threads, step.scratch);
}

template <class T>
std::ptrdiff_t scratch_bytes(const DenseGradWeight& op, const Extents& extents, int threads) {
    const std::ptrdiff_t in = extents.last(op.x);
    return dense_scratch<T>(in, extents.last(op.dy), extents.size(op.x) / in, threads);
}

// Columns [0, columns) of a matrix whose rows are `stride` apart.
template <class T>
struct MatrixView {
    const T* data;
    std::ptrdiff_t stride;
    std::ptrdiff_t columns;
};

// dw (+)= x.T @ dy over this number of rows; dw [x.columns, dy.columns].
template <class T>
void weight_gradient(const Step<T>& step, const MatrixView<T>& x, const MatrixView<T>& dy,
                     std::ptrdiff_t rows, T* dw, bool accumulate, char* scratch) {
    GemmArgs<T> args{};
    args.a = x.data;
    args.a_stride = x.stride;
    args.transpose_a = true;
    args.b = dy.data;
    args.b_stride = dy.stride;
    args.c = dw;
    args.c_stride = dy.columns;
    args.m = x.columns;
    args.n = dy.columns;
    args.k = rows;
    args.accumulate = accumulate;
    gemm(step.kernels, step.team, args, step.threads, scratch);
}

// sums (+)= the sum of the rows of x [rows, columns].
template <class T>
void column_sums(const Step<T>& step, const T* x, std::ptrdiff_t columns, std::ptrdiff_t rows,
                 T* sums, bool accumulate) {
    parallel_ranges(step.team, columns, kGrain / rows,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        step.kernels.elementwise.column_sums(x + begin, sums + begin, columns, rows,
                                                             end - begin, accumulate);
                    });
}

template <class T>
void run(const DenseGradWeight& op, const Step<T>& step) {
    const std::ptrdiff_t in = step.extents.last(op.x);
    const std::ptrdiff_t out = step.extents.last(op.dy);
    const std::ptrdiff_t rows = step.extents.size(op.x) / in;
    const T* dy = step.data(op.dy);
    weight_gradient<T>(step, {step.data(op.x), in, in}, {dy, out, out}, rows, step.data(op.dw),
                       op.accumulate, step.scratch);
    if (op.db.present()) column_sums(step, dy, out, rows, step.data(op.db), op.accumulate);
}

}  // namespace pybp
