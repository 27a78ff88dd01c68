#include "recurrent.h"

namespace pybp {
namespace {

// Each thread must have so many multiply-adds to do in a step to be worth a meeting.
constexpr std::ptrdiff_t kStepWork = 128 * 1024;
// The same for a whole sequence.
constexpr std::ptrdiff_t kSequenceWork = 512 * 1024;
// Ranks that fill a tile well enough.
constexpr std::ptrdiff_t kLeastRanks = 8;
// Hidden weights up to this size stay in a second-level cache for all steps.
constexpr std::ptrdiff_t kCachedBytes = 768 * 1024;

}  // namespace

template <class T>
HiddenWeights<T> pack_weights(const Step<T>& step, const T* w, std::ptrdiff_t stride,
                              bool transposed, std::ptrdiff_t depth, std::ptrdiff_t columns,
                              T* packed) {
    const std::ptrdiff_t panel = step.kernels.gemm.panel;
    parallel_ranges(step.team, divide_up(columns, panel), kGrain / (depth * panel),
                    [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                        const std::ptrdiff_t j = begin * panel;
                        step.kernels.gemm.pack_b(
                            transposed ? w + j * stride : w + j, stride, transposed, depth,
                            std::min(columns, end * panel) - j, packed + j * depth);
                    });
    return {packed, depth, columns, panel, true};
}

template <class T>
void multiply(const GemmKernels<T>& kernels, const HiddenWeights<T>& b,
              const HiddenProduct<T>& product) {
    GemmBlock<T> block{};
    block.a_row = product.a_row;
    block.a_column = 1;
    block.b_row = b.row;
    block.b_panel = kernels.panel;
    block.b_padded = b.packed;
    block.c_row = product.c_row;
    if (!b.packed && product.rows <= kFewRows) {
        block.a = product.a;
        block.b = b.data + product.begin;
        block.c = product.c + product.begin;
        block.m = product.rows;
        block.n = product.end - product.begin;
        block.k = b.depth;
        block.accumulate = product.accumulate;
        block.first_run = b.depth;
        kernels.few_rows(block, false);
        return;
    }
    // Chunk by chunk of a panel, which then stays in the first-level cache for all rows.
    for (std::ptrdiff_t j = product.begin; j < product.end; j += kernels.panel) {
        block.n = std::min(kernels.panel, product.end - j);
        const T* panel = b.data + (b.packed ? j * b.depth : j);
        const std::ptrdiff_t strips = divide_up(product.rows, kernels.height(block.n));
        for (std::ptrdiff_t k = 0; k < b.depth; k += kChunk) {
            block.b = panel + k * b.row;
            block.k = std::min(kChunk, b.depth - k);
            block.first_run = block.k;
            block.accumulate = product.accumulate || k > 0;
            std::ptrdiff_t row = 0;
            for (std::ptrdiff_t strip = 0; strip < strips; ++strip, row += block.m) {
                block.m = (product.rows - row) / (strips - strip);
                block.a = product.a + row * product.a_row + k;
                block.c = product.c + row * product.c_row + j;
                kernels.strip(block);
            }
        }
    }
}

TimeSplit split_time(const RecurrentSizes& at, std::ptrdiff_t bytes, std::ptrdiff_t panel,
                     int threads) {
    const std::ptrdiff_t weights = at.units * at.wide();
    const std::ptrdiff_t by_work = at.rows * weights / kSequenceWork;
    const std::ptrdiff_t by_ranks =
        std::min({std::ptrdiff_t{threads}, by_work, at.samples / kLeastRanks});
    const std::ptrdiff_t by_units = std::min(
        {std::ptrdiff_t{threads}, at.samples * weights / kStepWork, divide_up(at.units, panel)});
    if (by_ranks > 1 && (weights * bytes <= kCachedBytes || by_units < 2)) return {by_ranks, false};
    if (by_units > 1) return {by_units, true};
    return {1, false};
}

std::ptrdiff_t first_rank(const Packing& packing, std::ptrdiff_t begin, std::ptrdiff_t end,
                          std::ptrdiff_t index, std::ptrdiff_t tasks) {
    const std::ptrdiff_t before = (packing.offsets[end] - packing.offsets[begin]) * index / tasks;
    std::ptrdiff_t rank = 0;
    for (std::ptrdiff_t rows = 0; rank < packing.samples; ++rank) {
        const std::ptrdiff_t last = std::min(packing.lengths[packing.order[rank]], end);
        if (rows >= before || last <= begin) break;
        rows += last - begin;
    }
    return index == tasks ? packing.samples : rank;
}

template HiddenWeights<float> pack_weights<float>(const Step<float>&, const float*, std::ptrdiff_t,
                                                  bool, std::ptrdiff_t, std::ptrdiff_t, float*);
template HiddenWeights<double> pack_weights<double>(const Step<double>&, const double*,
                                                    std::ptrdiff_t, bool, std::ptrdiff_t,
                                                    std::ptrdiff_t, double*);
template void multiply<float>(const GemmKernels<float>&, const HiddenWeights<float>&,
                              const HiddenProduct<float>&);
template void multiply<double>(const GemmKernels<double>&, const HiddenWeights<double>&,
                               const HiddenProduct<double>&);

}  // namespace pybp
