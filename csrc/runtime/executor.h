// Runs a program step by step: bind() checks everything, run() allocates nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "data.h"
#include "host.h"
#include "packing.h"
#include "program.h"
#include "sweep.h"

namespace pybp {

template <class T>
struct Step;

// Memory that belongs to the caller.
struct Segment {
    char* base = nullptr;
    std::ptrdiff_t bytes = 0;
};

// Where the sequences of a packing lie: that of row r begins at row first[r] of the data arrays.
struct Spans {
    const std::int64_t* first = nullptr;   // [rows]
    const std::int64_t* length = nullptr;  // [rows]
    std::ptrdiff_t rows = 0;
};

// What varies from run to run, apart from the data arrays.
struct RunArguments {
    const std::int64_t* order = nullptr;  // [order_length], or null: rows as they lie
    std::ptrdiff_t order_length = 0;
    const std::int64_t* starts = nullptr;  // [steps + 1]: step s has the rows starts[s] ...
    std::ptrdiff_t steps = 0;
    const double* hyper = nullptr;  // [steps, hyper_columns]
    std::ptrdiff_t hyper_columns = 0;
    double* results = nullptr;  // [steps, result_columns]
    std::ptrdiff_t result_columns = 0;
    std::uint64_t seed = 0;
    std::uint64_t first_step = 0;
    std::ptrdiff_t begin = 0;  // the ops [begin, end) run
    std::ptrdiff_t end = 0;
    // Above 0: before the ops [check_at, end) of a step, the run ends if one of its results is NaN.
    std::ptrdiff_t check_at = -1;
    const Spans* spans = nullptr;  // [packings]
    std::size_t span_count = 0;

    // The row that comes i-th.
    std::int64_t row(std::int64_t i) const { return order ? order[i] : i; }
};

// Not for use by two threads at once; the bindings see to that.
class Executor {
  public:
    // Throws std::invalid_argument if the program breaks a rule.
    explicit Executor(Program program);

    const Program& program() const { return program_; }
    // The scratch that the ops need for the most rows and this number of threads.
    std::ptrdiff_t scratch_bytes(int threads) const;

    // Takes the fixed memory; throws std::invalid_argument where a buffer does not fit in.
    void bind(const std::vector<Segment>& segments);
    bool bound() const { return !bases_.empty(); }
    // At least scratch_bytes(threads) bytes, aligned to 64.
    void set_scratch(char* scratch, int threads) {
        scratch_ = scratch;
        threads_ = threads;
    }
    int threads() const { return threads_; }

    // Checks the ranges of a run and finds out which data arrays its ops use.
    void begin_run(const RunArguments& arguments);
    bool uses_data(std::size_t index) const { return used_[index] != 0; }
    // For each data array in use, between begin_run() and run().
    void set_data(std::size_t index, const ArrayView& array);
    // Throws std::invalid_argument if the arrays are too short for the rows asked for.
    void check_rows(const RunArguments& arguments) const;
    // What the host throws ends the run; the steps before it are done, its own is not.
    void run(const RunArguments& arguments, Host& host);

    // Finished steps of the last run.
    std::ptrdiff_t steps_done() const { return steps_done_.load(std::memory_order_relaxed); }

  private:
    template <class T>
    void run_steps(const RunArguments& arguments, Host& host);
    template <class T>
    void run_ops(const Step<T>& step, std::size_t begin, std::size_t end);
    template <class T>
    void run_loop(const Step<T>& step, const Loop& loop, std::size_t index);
    void set_views(std::size_t index, const Packing& packing, std::ptrdiff_t t);
    void check_range(const RunArguments& arguments) const;
    void pack(const RunArguments& arguments, std::ptrdiff_t step);
    void set_bases(Team& team, const RunArguments& arguments, std::ptrdiff_t step);
    char* packed_base(Team& team, std::size_t index) const;
    void deliver(Team& team);
    const char* next_row(const Sweep& sweep, const RunArguments& arguments,
                         std::ptrdiff_t step) const;
    const Buffer& buffer_of(std::size_t data) const {
        return program_.buffers[static_cast<std::size_t>(program_.data[data].buffer)];
    }
    void check_spans(const RunArguments& arguments) const;
    void check_lengths(const RunArguments& arguments, std::size_t packing) const;
    void check_buffer(std::size_t index, const std::vector<Segment>& segments) const;
    void check_view(std::size_t index, const std::vector<Segment>& segments) const;
    void check_staging(std::size_t index, const std::vector<Segment>& segments) const;

    // What begin_run() must know of an op.
    struct Needs {
        std::vector<std::size_t> data;   // data arrays
        std::ptrdiff_t hyper = 0;        // columns, exactly; 0 for all but updates
        std::ptrdiff_t results = 0;      // columns, at least
        std::vector<std::size_t> views;  // of a loop: those that its ops use
    };
    std::vector<std::size_t> data_of(const Op& op) const;
    std::vector<std::size_t> views_of(std::size_t index, const Loop& loop) const;

    Program program_;
    std::vector<Needs> needs_;             // [ops]
    std::vector<char*> bases_;             // [segments + data arrays + views]; empty before bind()
    std::vector<DataArray> data_;          // [data arrays]
    std::vector<char> used_;               // [data arrays], by the run
    std::vector<Packer> packers_;          // [packings]
    std::vector<std::ptrdiff_t> longest_;  // [packings]: the most time steps of a sample
    std::vector<std::ptrdiff_t> counts_;   // of the step, as Program::capacity
    std::vector<HostArray> handed_;        // the operands of an op that runs in the host
    std::size_t segments_ = 0;
    char* scratch_ = nullptr;
    int threads_ = 0;
    std::atomic<std::ptrdiff_t> steps_done_{0};  // read while another thread runs
};

}  // namespace pybp
