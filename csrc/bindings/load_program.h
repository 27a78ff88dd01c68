// A program from Python's lists, and the description of the ops that Python compares with its own.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "../runtime/program.h"

namespace pybp {

// Throws std::invalid_argument with the op, the field, what was expected and what was found.
Program load_program(const std::string& dtype, const pybind11::list& buffers,
                     const pybind11::list& data, const pybind11::list& ops,
                     const std::vector<std::ptrdiff_t>& capacity,
                     const std::vector<std::ptrdiff_t>& fixed_steps, const pybind11::list& views);

// {kind: [(field, annotation), ...]} with the annotations of pybp/program/ops/.
pybind11::dict schema();

// {kind: (name, ...)}: the scalars that each update reads for a step.
pybind11::dict hyper_schema();

}  // namespace pybp
