// Correlations of few channels with an image in each lane of a vector: the same sums, number by
// number, as correlate() takes, but no lane is empty. Images are brought into lanes row by row.
#pragma once

#include "correlate.h"
#include "correlate_weight.h"

namespace pybp {

// How many of the images, from the first on, are done in lanes; 0 where that doesn't pay.
template <class T>
std::ptrdiff_t images_in_lanes(const Kernels<T>& kernels, const CorrelationArgs<T>& args);
template <class T>
std::ptrdiff_t images_in_lanes(const Kernels<T>& kernels, const CorrelationWeightArgs<T>& args);

// Bytes of scratch for the sizes, on any ISA level; 0 where nothing is done in lanes.
template <class T>
std::size_t lanes_scratch_bytes(const CorrelationArgs<T>& args, int threads);
template <class T>
std::size_t lanes_scratch_bytes(const CorrelationWeightArgs<T>& args, int threads);

// For args.images as images_in_lanes() has returned them.
template <class T>
void correlate_lanes(const Kernels<T>& kernels, Team& team, const CorrelationArgs<T>& args,
                     int threads, void* scratch);
// The images are cut into parts by their number alone.
template <class T>
void correlate_weight_lanes(const Kernels<T>& kernels, Team& team,
                            const CorrelationWeightArgs<T>& args, void* scratch);

}  // namespace pybp
