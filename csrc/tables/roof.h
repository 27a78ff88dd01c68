// The contract of the kernels that measure the machine: no work of a net, but what bounds it.
// csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

namespace pybp {

template <class T>
struct RoofKernels {
    // How many numbers multiply_add works on: enough chains of whole vectors, all in registers, to
    // keep every multiply-add unit of a core busy.
    std::ptrdiff_t width;
    // x[i] = x[i] * factor + addend, `rounds` times, for the `width` numbers of x.
    void (*multiply_add)(T factor, T addend, T* x, std::ptrdiff_t rounds);
    // The sum of x [count], read once, whole cache lines in a row.
    T (*sum)(const T* x, std::ptrdiff_t count);
    // y[i] = x[i].
    void (*copy)(const T* x, T* y, std::ptrdiff_t count);
};

}  // namespace pybp
