// The one symbol that an object of a kernel family exports: pybp_<family>_<level>, a function that
// fills the family's tables for float and double. The level is PYBP_ISA_NAME, set by the build.
#pragma once

#include "../kernel_table.h"

#define PYBP_JOIN_(family, level) pybp_##family##_##level
#define PYBP_JOIN(family, level) PYBP_JOIN_(family, level)

// Place it in namespace pybp, after a template fill(Table<T>&).
#define PYBP_EXPORT_TABLE(family, Table)                                     \
    extern "C" void PYBP_JOIN(family, PYBP_ISA_NAME)(Table<float> * single,  \
                                                     Table<double> * wide) { \
        fill(*single);                                                       \
        fill(*wide);                                                         \
    }
