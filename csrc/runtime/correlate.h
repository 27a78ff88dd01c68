// Correlation of images with kernels on the GEMM tile, im2col by index: forward convolution, and
// with transposed weights the gradient by the input.
//
//   y[p, q, :] = sum over taps (u, v) of x[p * stride.h - before.h + u * dilation.h, ...] @ w[u, v]
//
// The sum over (u, v, channel) in this order is the k of a matrix product, cut and added up as
// kernel_table.h says; so the bits are those of an explicit im2col followed by gemm().
#pragma once

#include <cstddef>

#include "gemm.h"
#include "kernels.h"
#include "threads.h"
#include "window.h"

namespace pybp {

template <class T>
struct CorrelationArgs {
    const T* x;  // [images, h.size, w.size, groups * in]
    WindowAxis h;
    WindowAxis w;
    std::ptrdiff_t images;
    std::ptrdiff_t groups;
    std::ptrdiff_t in;   // channels of one group
    std::ptrdiff_t out;  // of one group
    bool flip;           // tap (u, v) of the kernel reads where the opposite one would

    // The kernel of group g: rows k = (u, v, channel), `out` columns. Packed panels as GemmKernels
    // packs them, or rows `b_row` apart.
    const T* b;
    bool packed;
    std::ptrdiff_t b_row;    // if not packed
    std::ptrdiff_t b_group;  // from one group's kernel to the next

    T* y;  // pixel (i, p, q) of group g at y + i * y_image + p * y_row + q * y_pixel
    std::ptrdiff_t y_image;  // + g * out
    std::ptrdiff_t y_row;
    std::ptrdiff_t y_pixel;

    Epilogue epilogue = Epilogue::none;
    Activation activation = Activation::identity;
    T alpha = 0;
    const T* bias = nullptr;   // [groups * out] or null
    const T* saved = nullptr;  // at the places of y

    std::ptrdiff_t depth() const { return h.kernel * w.kernel * in; }
};

// Bytes of scratch for the sizes (pointers are not looked at) and a number of threads.
template <class T>
std::size_t correlation_scratch_bytes(const CorrelationArgs<T>& args, int threads);

// scratch: as many bytes, aligned to 64; its content is lost.
template <class T>
void correlate(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args, int threads,
               void* scratch);

}  // namespace pybp
