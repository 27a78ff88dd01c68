// The gradient of a correlation by its kernel, on the GEMM tile with A = x transposed by index:
//
//   dw[u, v, c, :] (+)= sum over images and pixels (p, q) of x[p * stride.h + u * ..., c] * dy[p,
//   q, :]
#pragma once

#include <cstddef>

#include "correlate.h"

namespace pybp {

template <class T>
struct CorrelationWeightArgs {
    const T* x;  // [images, h.size, w.size, groups * in]
    WindowAxis h;
    WindowAxis w;
    std::ptrdiff_t images;
    std::ptrdiff_t groups;
    std::ptrdiff_t in;   // channels of one group
    std::ptrdiff_t out;  // of one group
    bool flip;
    const T* dy;  // [images, h.out, w.out, groups * out]
    T* dw;        // [h.taps, w.taps, in, groups * out]
    bool accumulate;

    std::ptrdiff_t depth() const { return h.kernel * w.kernel * in; }
    std::ptrdiff_t size() const { return depth() * groups * out; }
};

// As for correlate().
template <class T>
std::size_t correlation_weight_scratch_bytes(const CorrelationWeightArgs<T>& args, int threads);

// The pixels are cut into parts, bands and chunks by the sizes alone, and the sums of the pieces
// are added in rising order: the bits do not depend on the number of threads.
template <class T>
void correlate_weight(const Kernels<T>& kernels, Team& team, const CorrelationWeightArgs<T>& args,
                      int threads, void* scratch);

}  // namespace pybp
