// Python as the host of a run: its signals, and the ops that run in Python.
#pragma once

#include <pybind11/pybind11.h>

#include "../runtime/host.h"

namespace pybp {

class PythonHost : public Host {
  public:
    // function: called as function(op, arrays, rows, results) with the GIL held. arrays holds, in
    // the order of the op's fields, a copy of each operand that is read and None for each other
    // one; results is a copy of the step's row, which may be changed. It returns a list with an
    // array for each operand that is written, in their order. None where no op runs in Python.
    explicit PythonHost(const pybind11::object& function) : function_(function) {}

    bool interrupted() override;
    void call(const HostCall& call) override;
    // To be called with the GIL held: passes on what a signal handler raised.
    void raise() const {
        if (raised_) throw pybind11::error_already_set();
    }

  private:
    const pybind11::object& function_;
    bool raised_ = false;
};

}  // namespace pybp
