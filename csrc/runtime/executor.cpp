#include "executor.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "cpu.h"
#include "run_conv.h"
#include "run_dense.h"
#include "run_elementwise.h"
#include "run_loss.h"
#include "run_norm.h"
#include "run_pool.h"
#include "run_update.h"

namespace pybp {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPollInterval{50};

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

std::string text(std::ptrdiff_t number) { return std::to_string(number); }

// Whether an op works in scratch memory, that is whether it has a scratch_bytes().
template <class T, class Op, class = void>
inline constexpr bool kUsesScratch = false;
template <class T, class Op>
inline constexpr bool kUsesScratch<T, Op,
                                   std::void_t<decltype(scratch_bytes<T>(
                                       std::declval<const Op&>(), std::declval<Extents>(), 1))>> =
    true;

template <class T>
std::ptrdiff_t scratch_of_ops(const Program& program, int threads) {
    const Extents extents{program.buffers.data(), program.max_rows};
    std::ptrdiff_t most = 0;
    for (const Op& node : program.ops) {
        std::visit(
            [&](const auto& op) {
                if constexpr (kUsesScratch<T, std::decay_t<decltype(op)>>) {
                    most = std::max(most, scratch_bytes<T>(op, extents, threads));
                }
            },
            node);
    }
    return most;
}

template <class Op>
std::ptrdiff_t result_columns(const Op& op) {
    if constexpr (std::is_base_of_v<Loss, Op> || std::is_same_v<Op, Accuracy>) {
        return static_cast<std::ptrdiff_t>(op.result) + 2;
    }
    return 0;
}

bool consecutive(const std::int64_t* order, std::ptrdiff_t count) {
    for (std::ptrdiff_t i = 1; i < count; ++i) {
        if (order[i] != order[0] + i) return false;
    }
    return true;
}

}  // namespace

Executor::Executor(Program program) : program_(std::move(program)) {
    verify(program_);
    for (const Op& node : program_.ops) {
        Needs needs;
        needs.data = data_of(node);
        std::visit(
            [&](const auto& op) {
                needs.hyper = kHyperCount<std::decay_t<decltype(op)>>;
                needs.results = result_columns(op);
            },
            node);
        needs_.push_back(std::move(needs));
    }
    data_.resize(program_.data.size());
    used_.resize(program_.data.size());
}

// Several buffers may lie in one data slot: reshaped ones share the storage of the first.
std::vector<std::size_t> Executor::data_of(const Op& node) const {
    std::vector<std::size_t> result;
    const auto add = [&](const char*, const auto& field) {
        if constexpr (std::is_base_of_v<Operand, std::decay_t<decltype(field)>>) {
            if (!field.present()) return;
            const int slot = program_.buffers[static_cast<std::size_t>(field.index)].slot;
            for (std::size_t d = 0; d < program_.data.size(); ++d) {
                const auto buffer = static_cast<std::size_t>(program_.data[d].buffer);
                if (program_.buffers[buffer].slot == slot) result.push_back(d);
            }
        }
    };
    std::visit([&](const auto& op) { fields(op, add); }, node);
    return result;
}

std::ptrdiff_t Executor::scratch_bytes(int threads) const {
    return program_.real == DType::float64 ? scratch_of_ops<double>(program_, threads)
                                           : scratch_of_ops<float>(program_, threads);
}

// ---------------------------------------------------------------------------------------- bind

void Executor::check_buffer(std::size_t index, const std::vector<Segment>& segments) const {
    const Buffer& buffer = program_.buffers[index];
    const std::string name = "buffer " + std::to_string(index);
    const auto fixed = static_cast<int>(segments.size());
    const int slots = fixed + static_cast<int>(program_.data.size());
    if (buffer.slot < 0 || buffer.slot >= slots) {
        fail(name + ": expected one of " + text(slots) + " slots (" + text(fixed) +
             " segments, then the data), got slot " + text(buffer.slot));
    }
    if (buffer.slot >= fixed) {
        const auto data = static_cast<std::size_t>(buffer.slot - fixed);
        const auto owner = static_cast<std::size_t>(program_.data[data].buffer);
        const Buffer& array = program_.buffers[owner];
        if (buffer.offset != 0 || !buffer.batched || buffer.dtype != array.dtype ||
            buffer.row != array.row) {
            fail(name + ": expected rows of the same size as buffer " + std::to_string(owner) +
                 ", whose data slot it shares");
        }
        return;
    }
    const Segment& segment = segments[static_cast<std::size_t>(buffer.slot)];
    const std::ptrdiff_t end = buffer.offset + buffer.bytes(program_.max_rows);
    if (buffer.offset < 0 || end > segment.bytes) {
        fail(name + ": expected bytes within the " + text(segment.bytes) + " of segment " +
             text(buffer.slot) + ", got " + text(buffer.offset) + " ... " + text(end));
    }
    const auto address = reinterpret_cast<std::uintptr_t>(segment.base + buffer.offset);
    if (address % static_cast<std::uintptr_t>(size_of(buffer.dtype)) != 0) {
        fail(name + ": offset " + text(buffer.offset) + " is not aligned to its elements");
    }
}

void Executor::check_staging(std::size_t index, const std::vector<Segment>& segments) const {
    const DataSlot& slot = program_.data[index];
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(slot.buffer)];
    const std::string name = "data slot " + std::to_string(index);
    const auto expected = static_cast<int>(segments.size() + index);
    if (buffer.slot != expected) {
        fail(name + ": expected its buffer in slot " + text(expected) + ", got " +
             text(buffer.slot));
    }
    if (slot.is_output) return;
    if (slot.staging_slot < 0 || slot.staging_slot >= static_cast<int>(segments.size())) {
        fail(name + ": expected staging in one of " + std::to_string(segments.size()) +
             " segments, got slot " + text(slot.staging_slot));
    }
    const Segment& segment = segments[static_cast<std::size_t>(slot.staging_slot)];
    const std::ptrdiff_t end = slot.staging_offset + buffer.bytes(program_.max_rows);
    const auto address = reinterpret_cast<std::uintptr_t>(segment.base + slot.staging_offset);
    if (slot.staging_offset < 0 || end > segment.bytes ||
        address % static_cast<std::uintptr_t>(size_of(buffer.dtype)) != 0) {
        fail(name + ": expected aligned staging within the " + text(segment.bytes) +
             " bytes of segment " + text(slot.staging_slot) + ", got " + text(slot.staging_offset) +
             " ... " + text(end));
    }
}

void Executor::bind(const std::vector<Segment>& segments) {
    for (std::size_t i = 0; i < program_.data.size(); ++i) check_staging(i, segments);
    for (std::size_t i = 0; i < program_.buffers.size(); ++i) check_buffer(i, segments);
    segments_ = segments.size();
    bases_.assign(segments_ + program_.data.size(), nullptr);
    for (std::size_t i = 0; i < segments_; ++i) bases_[i] = segments[i].base;
}

// ----------------------------------------------------------------------------------------- run

void Executor::begin_run(const RunArguments& arguments) {
    steps_done_.store(0, std::memory_order_relaxed);
    const auto count = static_cast<std::ptrdiff_t>(program_.ops.size());
    if (arguments.begin < 0 || arguments.end > count || arguments.begin > arguments.end) {
        fail("ops: expected 0 <= begin <= end <= " + text(count) + ", got " +
             text(arguments.begin) + " and " + text(arguments.end));
    }
    std::fill(used_.begin(), used_.end(), char{0});
    for (std::ptrdiff_t i = arguments.begin; i < arguments.end; ++i) {
        const Needs& needs = needs_[static_cast<std::size_t>(i)];
        for (const std::size_t index : needs.data) used_[index] = 1;
        if (needs.hyper != 0 && needs.hyper != arguments.hyper_columns) {
            fail("hyper: op " + text(i) + " takes " + text(needs.hyper) + " columns, got " +
                 text(arguments.hyper_columns));
        }
        if (needs.results > arguments.result_columns) {
            fail("results: op " + text(i) + " writes column " + text(needs.results - 1) + ", got " +
                 text(arguments.result_columns) + " columns");
        }
    }
}

void Executor::set_data(std::size_t index, const ArrayView& array) {
    const DataSlot& slot = program_.data[index];
    char* staging = slot.is_output
                        ? nullptr
                        : bases_[static_cast<std::size_t>(slot.staging_slot)] + slot.staging_offset;
    data_[index] = check_array("data " + std::to_string(index), array,
                               program_.buffers[static_cast<std::size_t>(slot.buffer)],
                               slot.is_output, staging);
}

void Executor::check_rows(const RunArguments& arguments) const {
    const std::int64_t* starts = arguments.starts;
    for (std::ptrdiff_t s = 0; s < arguments.steps; ++s) {
        if (starts[s + 1] <= starts[s] || starts[s + 1] - starts[s] > program_.max_rows) {
            fail("starts: expected steps of 1 ... " + text(program_.max_rows) + " rows, got step " +
                 text(s) + " from " + text(starts[s]) + " to " + text(starts[s + 1]));
        }
    }
    const std::int64_t first = starts[0];
    const std::int64_t last = starts[arguments.steps];
    if (first < 0) fail("starts: expected rows from 0 on, got " + text(first));
    std::int64_t least = first;
    std::int64_t most = last - 1;
    if (arguments.order) {
        if (last > arguments.order_length) {
            fail("order: expected at least " + text(last) + " entries, got " +
                 text(arguments.order_length));
        }
        const auto range = std::minmax_element(arguments.order + first, arguments.order + last);
        least = *range.first;
        most = *range.second;
    }
    for (std::size_t i = 0; i < data_.size(); ++i) {
        if (!used_[i]) continue;
        const std::ptrdiff_t length = data_[i].source.length;
        const bool is_output = program_.data[i].is_output;
        const std::int64_t lowest = is_output ? first : least;
        const std::int64_t highest = is_output ? last - 1 : most;
        if (lowest < 0 || highest >= length) {
            fail("data " + std::to_string(i) + ": has " + text(length) +
                 " rows, but the steps use rows " + text(lowest) + " ... " + text(highest));
        }
    }
}

void Executor::set_bases(Team& team, const RunArguments& arguments, std::ptrdiff_t step) {
    const std::ptrdiff_t first = arguments.starts[step];
    const std::ptrdiff_t rows = arguments.starts[step + 1] - first;
    const std::int64_t* order = arguments.order ? arguments.order + first : nullptr;
    const bool in_a_row = !order || consecutive(order, rows);
    for (std::size_t i = 0; i < data_.size(); ++i) {
        if (!used_[i]) continue;
        const bool is_output = program_.data[i].is_output;
        bases_[segments_ + i] =
            data_[i].rows(team, is_output ? nullptr : order, first, rows, is_output || in_a_row);
    }
}

template <class T>
void Executor::run_steps(const RunArguments& arguments, Interruption& interruption) {
    const FlushDenormals flush;
    const Kernels<T>& kernels = pybp::kernels<T>();
    Team& team = pybp::team();
    Clock::time_point polled = Clock::now();
    for (std::ptrdiff_t s = 0; s < arguments.steps; ++s) {
        set_bases(team, arguments, s);
        double* results = arguments.results + s * arguments.result_columns;
        std::fill_n(results, arguments.result_columns, 0.0);
        const std::ptrdiff_t rows = arguments.starts[s + 1] - arguments.starts[s];
        const Step<T> step{kernels,
                           team,
                           {program_.buffers.data(), rows},
                           bases_.data(),
                           arguments.hyper + s * arguments.hyper_columns,
                           results,
                           arguments.seed,
                           arguments.first_step + static_cast<std::uint64_t>(s),
                           scratch_,
                           threads_};
        for (std::ptrdiff_t i = arguments.begin; i < arguments.end; ++i) {
            std::visit([&](const auto& op) { pybp::run(op, step); },
                       program_.ops[static_cast<std::size_t>(i)]);
        }
        steps_done_.store(s + 1, std::memory_order_relaxed);
        if (s + 1 == arguments.steps) return;
        const Clock::time_point now = Clock::now();
        if (now - polled < kPollInterval) continue;
        polled = now;
        if (interruption.requested()) return;
    }
}

void Executor::run(const RunArguments& arguments, Interruption& interruption) {
    if (program_.real == DType::float64) {
        run_steps<double>(arguments, interruption);
    } else {
        run_steps<float>(arguments, interruption);
    }
}

}  // namespace pybp
