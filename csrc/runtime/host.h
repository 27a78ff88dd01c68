// What the runtime asks of whoever runs it: whether to stop, and the ops that it can't run itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "program.h"

namespace pybp {

// An operand as the host gets it; data is null where the op leaves it out.
struct HostArray {
    char* data = nullptr;
    const Buffer* buffer = nullptr;
    std::ptrdiff_t count = 0;  // along the leading extent, if that varies
    bool read = false;
    bool written = false;
};

// One op that runs in the host.
struct HostCall {
    std::size_t op;           // its place in the program
    const HostArray* arrays;  // in the order of the op's fields, lists one after the other
    std::size_t count;
    std::ptrdiff_t rows;  // samples
    double* results;      // the row of this step
    std::ptrdiff_t result_columns;
};

class Host {
  public:
    virtual ~Host() = default;
    // Asked between the steps of a run: whether to stop early.
    virtual bool interrupted() = 0;
    // May throw anything: the run ends, in the middle of its step.
    virtual void call(const HostCall& call) = 0;
};

// The host of a run, and what its ops are run with.
struct Caller {
    Host& host;
    std::uint64_t mode;  // of floating-point numbers, on the thread that runs the program
    std::ptrdiff_t result_columns;
};

}  // namespace pybp
