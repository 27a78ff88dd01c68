// Matrix product of any shape: blocking, packing, threads. The sum order is that of kernel_table.h,
// so the bits of an element depend neither on the path nor on the number of threads.
#pragma once

#include <cstddef>

#include "kernels.h"
#include "threads.h"

namespace pybp {

// The widest panel of any ISA level: sizes of scratch must not depend on the level.
inline constexpr std::ptrdiff_t kWidestPanel = 32;

// What happens to a finished block of rows of C while it is in cache.
enum class Epilogue {
    none,
    bias_activate,   // c = act(c + bias); bias may be null
    multiply_slope,  // c = c * act'(saved)
};

// C [m, n] (+)= A [m, k] * B [k, n]; strides are distances of rows as they lie in memory.
template <class T>
struct GemmArgs {
    const T* a;  // [m, k], or [k, m] if transpose_a
    std::ptrdiff_t a_stride;
    bool transpose_a;
    const T* b;  // [k, n], or [n, k] if transpose_b
    std::ptrdiff_t b_stride;
    bool transpose_b;
    T* c;  // [m, n]; must not overlap the others
    std::ptrdiff_t c_stride;
    std::ptrdiff_t m;
    std::ptrdiff_t n;
    std::ptrdiff_t k;  // may be 0: C becomes 0, or stays if accumulating
    bool accumulate;

    Epilogue epilogue = Epilogue::none;
    Activation activation = Activation::identity;
    T alpha = 0;
    const T* bias = nullptr;   // [n] or null
    const T* saved = nullptr;  // [m, n]
    std::ptrdiff_t saved_stride = 0;
};

// The bytes of scratch that gemm() needs for these sizes at any ISA level and the given number of
// threads. It never falls when m, n, k or threads grow.
template <class T>
std::size_t gemm_scratch_bytes(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, int threads);

// scratch: gemm_scratch_bytes(m, n, k, threads) bytes aligned to 64; its content is lost. The
// caller says for how many threads it is, since another thread may change the team's size at any
// time.
template <class T>
void gemm(const Kernels<T>& kernels, Team& team, const GemmArgs<T>& args, int threads,
          void* scratch);

}  // namespace pybp
