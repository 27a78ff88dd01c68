// The kernels of one ISA level, and which level is in use.
#pragma once

#include <string>
#include <vector>

#include "../kernel_table.h"

namespace pybp {

template <class T>
struct Kernels {
    GemmKernels<T> gemm;
    ElementwiseKernels<T> elementwise;
    LossKernels<T> loss;
    DepthwiseKernels<T> depthwise;
    EmbeddingKernels<T> embedding;
    LanesKernels<T> lanes;
    PoolKernels<T> pool;
    NormKernels<T> norm;
    RecurrentKernels<T> recurrent;
    RegularizeKernels<T> regularize;
    RoofKernels<T> roof;
    UpdateKernels<T> update;
};

// The kernels of the level in use; T is float or double. The reference stays valid, so a caller
// takes it once a call and works with one level even if another thread switches.
template <class T>
const Kernels<T>& kernels();

// The levels that this build has and this machine can run, the best first.
std::vector<std::string> isa_levels();

// The level in use. The first call chooses it: PYBP_ISA from the environment, else the best.
// Throws std::runtime_error if PYBP_ISA names a level that is not there.
std::string isa();

// Switches the level (for tests). Throws std::runtime_error if it is not one of isa_levels().
void set_isa(const std::string& name);

}  // namespace pybp
