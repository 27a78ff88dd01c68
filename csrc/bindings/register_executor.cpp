// The executor as a Python class: array checks, the GIL, signals, and turns of several threads.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../runtime/executor.h"
#include "../runtime/threads.h"
#include "arrays.h"
#include "load_program.h"
#include "python_host.h"
#include "register.h"

namespace py = pybind11;

namespace pybp {
namespace {

constexpr std::ptrdiff_t kScratchAlignment = 64;

// One thread at a time works with an executor. The GIL is held before and after, but not while
// waiting, so the thread whose turn it is can finish.
class Turn {
  public:
    Turn(std::mutex& mutex, std::atomic<std::thread::id>& owner)
        : lock_(mutex, std::defer_lock), owner_(owner) {
        // A signal handler runs inside the run that it interrupts, and a user's layer inside the
        // one that calls it: they would wait for themselves.
        if (owner_.load() == std::this_thread::get_id()) {
            throw std::runtime_error(
                "this executor is running: neither a signal handler nor a layer or loss that it "
                "calls can use it");
        }
        if (!lock_.try_lock()) {
            py::gil_scoped_release release;
            lock_.lock();
        }
        owner_.store(std::this_thread::get_id());
    }
    ~Turn() { owner_.store(std::thread::id()); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    std::unique_lock<std::mutex> lock_;
    std::atomic<std::thread::id>& owner_;
};

class PyExecutor {
  public:
    PyExecutor(const std::string& dtype, const py::list& buffers, const py::list& data,
               const py::list& ops, const std::vector<std::ptrdiff_t>& capacity,
               const std::vector<std::ptrdiff_t>& fixed_steps, const py::list& views)
        : executor_(load_program(dtype, buffers, data, ops, capacity, fixed_steps, views)) {
        held_.resize(executor_.program().data.size());
    }

    std::ptrdiff_t scratch_bytes() const { return executor_.scratch_bytes(team().size()); }
    std::ptrdiff_t steps_done() const { return executor_.steps_done(); }

    void bind(const py::list& segments, const py::array& scratch) {
        const Turn turn(mutex_, owner_);
        std::vector<Segment> views;
        for (std::size_t i = 0; i < segments.size(); ++i) {
            const std::string name = "segment " + std::to_string(i);
            if (!py::isinstance<py::array>(segments[i])) {
                throw std::invalid_argument(name + ": expected a NumPy array");
            }
            views.push_back(view_segment(name, py::reinterpret_borrow<py::array>(segments[i])));
        }
        const int threads = team().size();
        const Segment space = view_segment("scratch", scratch);
        const std::ptrdiff_t needed = executor_.scratch_bytes(threads);
        const auto address = reinterpret_cast<std::uintptr_t>(space.base);
        if (space.bytes < needed || (needed > 0 && address % kScratchAlignment != 0)) {
            throw std::invalid_argument(
                "scratch: expected " + std::to_string(needed) + " bytes at a multiple of " +
                std::to_string(kScratchAlignment) + ", got " + std::to_string(space.bytes) +
                " bytes at a multiple " + (address % kScratchAlignment == 0 ? "of it" : "of less"));
        }
        executor_.bind(views);
        executor_.set_scratch(space.base, threads);
        scratch_ = scratch;
        segments_ = py::list(segments);  // a copy: the caller may change its own
    }

    void run(const py::sequence& data, const py::object& order, const py::array& starts,
             const py::array& hyper, const py::array& results, std::uint64_t seed,
             std::uint64_t first_step, std::ptrdiff_t begin, std::ptrdiff_t end,
             const py::sequence& spans, std::ptrdiff_t check_at, const py::object& call) {
        const Turn turn(mutex_, owner_);
        if (!executor_.bound()) throw std::runtime_error("run() before bind()");
        RunArguments arguments = read_arguments(order, starts, hyper, results);
        arguments.seed = seed;
        arguments.first_step = first_step;
        arguments.begin = begin;
        arguments.end = end;
        arguments.check_at = check_at;
        const std::vector<Spans> given = read_spans(spans);
        arguments.spans = given.data();
        arguments.span_count = given.size();
        executor_.begin_run(arguments);
        const Held held(held_);
        take_data(data);
        executor_.check_rows(arguments);
        grow_scratch();
        PythonHost host(call);
        {
            // Safe: from here on only plain memory is touched, but in the host, which takes the
            // GIL. Its owners are held by this object and by the arguments of this call, and `turn`
            // keeps other threads away from both.
            py::gil_scoped_release release;
            executor_.run(arguments, host);
        }
        host.raise();
    }

  private:
    // Lets go of the data arrays when a run ends, however it ends.
    class Held {
      public:
        explicit Held(std::vector<py::object>& objects) : objects_(objects) {}
        ~Held() {
            for (py::object& object : objects_) object = py::object();
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;

      private:
        std::vector<py::object>& objects_;
    };

    static RunArguments read_arguments(const py::object& order, const py::array& starts,
                                       const py::array& hyper, const py::array& results) {
        check_dense<std::int64_t>("starts", starts, 1);
        check_dense<double>("hyper", hyper, 2);
        check_dense<double>("results", results, 2);
        RunArguments arguments;
        if (!order.is_none()) {
            if (!py::isinstance<py::array>(order)) {
                throw std::invalid_argument("order: expected a NumPy array or None");
            }
            const auto array = py::reinterpret_borrow<py::array>(order);
            check_dense<std::int64_t>("order", array, 1);
            arguments.order = static_cast<const std::int64_t*>(array.data());
            arguments.order_length = array.shape(0);
        }
        arguments.steps = starts.shape(0) - 1;
        if (arguments.steps < 1) {
            throw std::invalid_argument("starts: expected at least 2 entries, got " +
                                        std::to_string(starts.shape(0)));
        }
        if (hyper.shape(0) != arguments.steps || results.shape(0) != arguments.steps) {
            throw std::invalid_argument("hyper and results: expected one row for each of " +
                                        std::to_string(arguments.steps) + " steps, got " +
                                        std::to_string(hyper.shape(0)) + " and " +
                                        std::to_string(results.shape(0)));
        }
        if (!results.writeable()) throw std::invalid_argument("results: expected a writable array");
        arguments.starts = static_cast<const std::int64_t*>(starts.data());
        arguments.hyper = static_cast<const double*>(hyper.data());
        arguments.hyper_columns = hyper.shape(1);
        arguments.results = static_cast<double*>(const_cast<void*>(results.data()));
        arguments.result_columns = results.shape(1);
        return arguments;
    }

    // (first, length) of each packing; the sequence of the caller keeps the arrays alive.
    static std::vector<Spans> read_spans(const py::sequence& spans) {
        std::vector<Spans> result;
        for (const py::handle item : spans) {
            const auto pair = py::cast<py::sequence>(item);
            if (pair.size() != 2) throw std::invalid_argument("spans: expected (first, length)");
            const auto first = py::cast<py::array>(pair[0]);
            const auto length = py::cast<py::array>(pair[1]);
            check_dense<std::int64_t>("first", first, 1);
            check_dense<std::int64_t>("length", length, 1);
            if (first.shape(0) != length.shape(0)) {
                throw std::invalid_argument("spans: expected as many lengths as beginnings");
            }
            result.push_back({static_cast<const std::int64_t*>(first.data()),
                              static_cast<const std::int64_t*>(length.data()), first.shape(0)});
        }
        return result;
    }

    void take_data(const py::sequence& data) {
        if (data.size() != held_.size()) {
            throw std::invalid_argument("data: expected " + std::to_string(held_.size()) +
                                        " arrays, got " + std::to_string(data.size()));
        }
        for (std::size_t i = 0; i < held_.size(); ++i) {
            if (!executor_.uses_data(i)) continue;
            held_[i] = data[i];  // the list may change while the GIL is released
            if (!py::isinstance<py::array>(held_[i])) {
                throw std::invalid_argument("data " + std::to_string(i) +
                                            ": expected a NumPy array, got " +
                                            py::cast<std::string>(py::repr(held_[i])));
            }
            executor_.set_data(i, view_array(i, py::reinterpret_borrow<py::array>(held_[i])));
        }
    }

    // More threads than at bind() need more scratch.
    void grow_scratch() {
        const int threads = team().size();
        if (threads <= executor_.threads()) return;
        scratch_ = py::array_t<std::uint8_t>(executor_.scratch_bytes(threads) + kScratchAlignment);
        auto* base = static_cast<char*>(scratch_.mutable_data());
        const auto beyond = reinterpret_cast<std::uintptr_t>(base) % kScratchAlignment;
        executor_.set_scratch(base + (beyond == 0 ? 0 : kScratchAlignment - beyond), threads);
    }

    Executor executor_;
    std::mutex mutex_;
    std::atomic<std::thread::id> owner_{};
    std::vector<py::object> held_;  // the data arrays during a run
    py::list segments_;
    py::array scratch_;
};

}  // namespace

void register_executor(py::module_& m) {
    py::class_<PyExecutor>(m, "Executor")
        .def(py::init<const std::string&, const py::list&, const py::list&, const py::list&,
                      const std::vector<std::ptrdiff_t>&, const std::vector<std::ptrdiff_t>&,
                      const py::list&>(),
             py::arg("dtype"), py::arg("buffers"), py::arg("data"), py::arg("ops"),
             py::arg("capacity"), py::arg("fixed_steps"), py::arg("views") = py::list())
        .def_property_readonly("scratch_bytes", &PyExecutor::scratch_bytes)
        .def_property_readonly("steps_done", &PyExecutor::steps_done)
        .def("bind", &PyExecutor::bind, py::arg("segments"), py::arg("scratch"))
        .def("run", &PyExecutor::run, py::arg("data"), py::arg("order"), py::arg("starts"),
             py::arg("hyper"), py::arg("results"), py::arg("seed"), py::arg("first_step"),
             py::arg("begin"), py::arg("end"), py::arg("spans") = py::tuple(),
             py::arg("check_at") = -1, py::arg("call") = py::none());
}

}  // namespace pybp
