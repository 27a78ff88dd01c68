// What the build is and which part of it is in use: ISA level, threads, versions.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "../runtime/cpu.h"
#include "../runtime/kernels.h"
#include "../runtime/threads.h"
#include "load_program.h"
#include "register.h"

namespace py = pybind11;

namespace pybp {
namespace {

void choose_isa(const std::string& name) {
    try {
        set_isa(name);
    } catch (const std::runtime_error& error) {  // a wrong argument here, not a wrong environment
        throw py::value_error(error.what());
    }
}

py::dict build_info() {
    py::dict info;
    info["version"] = PYBP_VERSION;
    info["compiler"] = PYBP_COMPILER;
    info["sanitize"] = PYBP_SANITIZE;
#if defined(PYBP_OPENMP)
    info["openmp"] = true;
#else
    info["openmp"] = false;
#endif
    info["isa_levels"] = isa_levels();
    return info;
}

}  // namespace

// For those who find the library among the loaded ones, as threadpoolctl does.
#if defined(__GNUC__)
#define PYBP_VISIBLE __attribute__((visibility("default")))
#else
#define PYBP_VISIBLE
#endif
extern "C" PYBP_VISIBLE int pybp_num_threads() { return num_threads(); }
extern "C" PYBP_VISIBLE void pybp_set_num_threads(int count) {
    set_num_threads(std::clamp(count, 1, Team::kMaxThreads));
}

void register_config(py::module_& m) {
    m.def("isa_levels", &isa_levels);
    m.def("isa", &isa);
    m.def("set_isa", &choose_isa, py::arg("name"));
    m.def("num_threads", &num_threads);
    // Waits for a kernel that is under way, perhaps in a thread that is about to need the GIL.
    m.def("set_num_threads", &set_num_threads, py::arg("count"),
          py::call_guard<py::gil_scoped_release>());
    m.def("cpu_quota", &cpu_quota, py::arg("root") = "");
    m.def("build_info", &build_info);
    m.def("schema", &schema);
    m.def("hyper_schema", &hyper_schema);
}

}  // namespace pybp
