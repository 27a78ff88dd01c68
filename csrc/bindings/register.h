// The parts of the extension module; one file each.
#pragma once

#include <pybind11/pybind11.h>

namespace pybp {

void register_config(pybind11::module_& m);
void register_executor(pybind11::module_& m);
void register_kernels(pybind11::module_& m);
void register_roof(pybind11::module_& m);

}  // namespace pybp
