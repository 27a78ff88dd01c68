#include "kernels.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "cpu.h"

// The levels of a build follow from the architecture; CMakeLists.txt compiles the same list.
#if defined(__x86_64__)
#define PYBP_EACH_LEVEL(DO) DO(v4) DO(v3) DO(v2)
#elif defined(__aarch64__)
#define PYBP_EACH_LEVEL(DO) DO(neon)
#else
#define PYBP_EACH_LEVEL(DO) DO(generic)
#endif

namespace pybp {

#define PYBP_DECLARE(level)                                                                      \
    extern "C" void pybp_gemm_##level(GemmKernels<float>*, GemmKernels<double>*);                \
    extern "C" void pybp_elementwise_##level(ElementwiseKernels<float>*,                         \
                                             ElementwiseKernels<double>*);                       \
    extern "C" void pybp_loss_##level(LossKernels<float>*, LossKernels<double>*);                \
    extern "C" void pybp_lanes_##level(LanesKernels<float>*, LanesKernels<double>*);             \
    extern "C" void pybp_pool_##level(PoolKernels<float>*, PoolKernels<double>*);                \
    extern "C" void pybp_depthwise_##level(DepthwiseKernels<float>*, DepthwiseKernels<double>*); \
    extern "C" void pybp_embedding_##level(EmbeddingKernels<float>*, EmbeddingKernels<double>*); \
    extern "C" void pybp_norm_##level(NormKernels<float>*, NormKernels<double>*);                \
    extern "C" void pybp_recurrent_##level(RecurrentKernels<float>*, RecurrentKernels<double>*); \
    extern "C" void pybp_regularize_##level(RegularizeKernels<float>*,                           \
                                            RegularizeKernels<double>*);                         \
    extern "C" void pybp_roof_##level(RoofKernels<float>*, RoofKernels<double>*);                \
    extern "C" void pybp_update_##level(UpdateKernels<float>*, UpdateKernels<double>*);
PYBP_EACH_LEVEL(PYBP_DECLARE)
#undef PYBP_DECLARE

namespace {

struct Level {
    const char* name;
    Kernels<float> single;
    Kernels<double> wide;
};

template <class T>
Kernels<T>& of(Level& level);
template <>
Kernels<float>& of(Level& level) {
    return level.single;
}
template <>
Kernels<double>& of(Level& level) {
    return level.wide;
}

// The usable levels, the best first; filled once and never changed.
std::vector<Level>& levels() {
    static std::vector<Level> found = [] {
        std::vector<Level> list;
#define PYBP_ADD(level)                                                               \
    if (cpu_supports(#level)) {                                                       \
        Level entry;                                                                  \
        entry.name = #level;                                                          \
        pybp_gemm_##level(&entry.single.gemm, &entry.wide.gemm);                      \
        pybp_elementwise_##level(&entry.single.elementwise, &entry.wide.elementwise); \
        pybp_loss_##level(&entry.single.loss, &entry.wide.loss);                      \
        pybp_lanes_##level(&entry.single.lanes, &entry.wide.lanes);                   \
        pybp_pool_##level(&entry.single.pool, &entry.wide.pool);                      \
        pybp_depthwise_##level(&entry.single.depthwise, &entry.wide.depthwise);       \
        pybp_embedding_##level(&entry.single.embedding, &entry.wide.embedding);       \
        pybp_norm_##level(&entry.single.norm, &entry.wide.norm);                      \
        pybp_recurrent_##level(&entry.single.recurrent, &entry.wide.recurrent);       \
        pybp_regularize_##level(&entry.single.regularize, &entry.wide.regularize);    \
        pybp_roof_##level(&entry.single.roof, &entry.wide.roof);                      \
        pybp_update_##level(&entry.single.update, &entry.wide.update);                \
        list.push_back(entry);                                                        \
    }
        PYBP_EACH_LEVEL(PYBP_ADD)
#undef PYBP_ADD
        if (list.empty()) {
            throw std::runtime_error(
                "pybp's kernels need at least x86-64-v2 (SSE4.2), which this processor lacks");
        }
        return list;
    }();
    return found;
}

Level* find(const std::string& name, const std::string& asked_by) {
    std::string names;
    for (Level& level : levels()) {
        if (name == level.name) return &level;
        names += (names.empty() ? "" : ", ") + std::string(level.name);
    }
    throw std::runtime_error(asked_by + " asks for the ISA level '" + name +
                             "', but this build on this machine has: " + names);
}

std::atomic<Level*>& current() {
    static std::atomic<Level*> level = [] {
        const char* name = std::getenv("PYBP_ISA");
        return name && *name ? find(name, "PYBP_ISA") : &levels().front();
    }();
    return level;
}

}  // namespace

template <class T>
const Kernels<T>& kernels() {
    return of<T>(*current().load(std::memory_order_acquire));
}
template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();

std::vector<std::string> isa_levels() {
    std::vector<std::string> names;
    for (const Level& level : levels()) names.emplace_back(level.name);
    return names;
}

std::string isa() { return current().load(std::memory_order_acquire)->name; }

void set_isa(const std::string& name) {
    current().store(find(name, "set_isa"), std::memory_order_release);
}

}  // namespace pybp
