// The contract of the embeddings' kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel_table.h"

namespace pybp {

// Some rows of an array [..., size].
template <class T>
struct RowList {
    const T* x;
    std::ptrdiff_t size;
    const std::int32_t* rows;  // [count]
    std::ptrdiff_t count;
};

template <class T>
struct EmbeddingKernels {
    // y[c] = (sum over k of factors[k] * x[rows[k], c]) / divisor, as one chain in rising k; 0 for
    // no rows. factors [count], or null for 1.
    void (*sum_rows)(const RowList<T>& list, const T* factors, T divisor, T* y);
    // y[c] = the largest of x[rows[k], c], count >= 1: of equal ones the first, and NaN before all
    // numbers. argmax[c] = places[k] of it; argmax [size] may be null.
    void (*max_rows)(const RowList<T>& list, const std::int32_t* places, T* y,
                     std::int32_t* argmax);
    // y[c] += dy[c] where argmax[c] == place, c in [0, size).
    void (*add_won)(const T* dy, const std::int32_t* argmax, std::int32_t place, T* y,
                    std::ptrdiff_t size);
    // sum over c of a[c] * b[c].
    T (*dot)(const T* a, const T* b, std::ptrdiff_t size);
};

}  // namespace pybp
