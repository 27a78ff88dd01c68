// The update of a weight by one row and its product with the next row, in one pass over it.
#pragma once

#include <algorithm>

#include "run_update.h"
#include "step.h"
#include "sweep.h"

namespace pybp {

// Numbers of the weight that keep a thread busy for longer than it takes to wake one.
inline constexpr std::ptrdiff_t kSweepGrain = 65536;

// next: the row of the next step [in]. What comes out are the bits of the two ops in turn.
template <class T>
void run_sweep(const Sweep& sweep, const Step<T>& step, const T* next) {
    const SGDDense& update = *sweep.last;
    const Dense& product = *sweep.first;
    const SGDStep<T> scalars = load_hyper<SGDStep>(update, step);
    const std::ptrdiff_t in = step.extents.last(update.x);
    const std::ptrdiff_t out = step.extents.last(update.dy);
    const T* x = step.data(update.x);  // [in]
    T* w = step.data(update.w);        // [in, out]
    T* b = step.data(update.b);        // [out] or null
    T* y = step.data(product.y);       // [out]
    auto* dy = reinterpret_cast<T*>(step.scratch);
    if (b) {
        column_sums(step, step.data(update.dy), out, 1, dy, false);
        apply_sgd<T>(step, scalars, false, b, dy, nullptr, out);
    }
    // y may lie where dy lay: the pass reads a copy.
    std::copy_n(step.data(update.dy), out, dy);
    parallel_ranges(step.team, out, kSweepGrain / in,
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        const std::ptrdiff_t columns = end - begin;
                        step.kernels.update.sgd_sweep(scalars, w + begin, out, x, dy + begin, next,
                                                      y + begin, in, columns);
                        step.kernels.elementwise.bias_activate(
                            product.activation, static_cast<T>(product.alpha),
                            b ? b + begin : nullptr, y + begin, columns, 1, columns);
                    });
}

}  // namespace pybp
