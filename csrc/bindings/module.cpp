// pybp._core: the native half of pybp.
#include "register.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "Native kernels and the executor of pybp; see pybp/_core.pyi for the signatures.";
    pybp::register_config(m);
    pybp::register_kernels(m);
    pybp::register_roof(m);
    pybp::register_executor(m);
}
