#include "executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "cpu.h"
#include "run_call.h"
#include "run_conv.h"
#include "run_dense.h"
#include "run_elementwise.h"
#include "run_embedding_bag.h"
#include "run_loop.h"
#include "run_loss.h"
#include "run_norm.h"
#include "run_pool.h"
#include "run_recurrent.h"
#include "run_regularize.h"
#include "run_sequence.h"
#include "run_sweep.h"
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
    const Extents extents{program.buffers.data(), program.capacity.data(), program.max_rows()};
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

// Whether a sum of losses is NaN: the columns hold sums and divisors in turn.
bool has_nan(const double* results, std::ptrdiff_t columns) {
    for (std::ptrdiff_t i = 0; i < columns; i += 2) {
        if (std::isnan(results[i])) return true;
    }
    return false;
}

// Calls f(index) for each buffer that an op names.
template <class F>
void for_each_buffer(const Op& node, const F& f) {
    const auto visit = [&](const char*, const auto& field) { for_each_index(field, f); };
    std::visit([&](const auto& op) { fields(op, visit); }, node);
}

// The operands of an op, absent ones too.
std::size_t operand_count(const Op& node) {
    std::size_t count = 0;
    const auto visit = [&](const char*, const auto& field) {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (std::is_base_of_v<Operand, Field>) ++count;
        if constexpr (std::is_base_of_v<Operands, Field>) count += field.indices.size();
    };
    std::visit([&](const auto& op) { fields(op, visit); }, node);
    return count;
}

}  // namespace

Executor::Executor(Program program) : program_(std::move(program)) {
    verify(program_);
    for (const Op& node : program_.ops) {
        Needs needs;
        needs.data = data_of(node);
        if (const auto* loop = std::get_if<Loop>(&node)) {
            needs.views = views_of(needs_.size(), *loop);
        }
        std::visit(
            [&](const auto& op) {
                needs.hyper = kHyperCount<std::decay_t<decltype(op)>>;
                needs.results = result_columns(op);
            },
            node);
        needs_.push_back(std::move(needs));
    }
    for (std::size_t k = 0; k < program_.fixed_steps.size(); ++k) {
        packers_.emplace_back(program_.max_rows(), program_.capacity[kPacked + k]);
        longest_.push_back(longest(program_, k));
    }
    counts_ = program_.capacity;
    for (const Op& node : program_.ops) handed_.reserve(operand_count(node));
    data_.resize(program_.data.size());
    used_.resize(program_.data.size());
}

// Several buffers may lie in one data slot: reshaped ones share the storage of the first.
std::vector<std::size_t> Executor::data_of(const Op& node) const {
    std::vector<std::size_t> result;
    for_each_buffer(node, [&](int index) {
        const int slot = program_.buffers[static_cast<std::size_t>(index)].slot;
        for (std::size_t d = 0; d < program_.data.size(); ++d) {
            const auto buffer = static_cast<std::size_t>(program_.data[d].buffer);
            if (program_.buffers[buffer].slot == slot) result.push_back(d);
        }
    });
    return result;
}

std::vector<std::size_t> Executor::views_of(std::size_t index, const Loop& loop) const {
    std::vector<std::size_t> result;
    const auto end = index + 1 + static_cast<std::size_t>(loop.count);
    for (std::size_t v = 0; v < program_.views.size(); ++v) {
        bool used = false;
        for (std::size_t i = index + 1; i < end; ++i) {
            for_each_buffer(program_.ops[i],
                            [&](int buffer) { used |= buffer == program_.views[v].buffer; });
        }
        if (used) result.push_back(v);
    }
    return result;
}

std::ptrdiff_t Executor::scratch_bytes(int threads) const {
    return program_.real == DType::float64 ? scratch_of_ops<double>(program_, threads)
                                           : scratch_of_ops<float>(program_, threads);
}

// ----------------------------------------------------------------------------------------- run

void Executor::begin_run(const RunArguments& arguments) {
    steps_done_.store(0, std::memory_order_relaxed);
    check_range(arguments);
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
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(slot.buffer)];
    char* staging = slot.is_output && !buffer.packed()
                        ? nullptr
                        : bases_[static_cast<std::size_t>(slot.staging_slot)] + slot.staging_offset;
    data_[index] = check_array(index, array, buffer, slot.is_output, staging);
}

void Executor::pack(const RunArguments& arguments, std::ptrdiff_t step) {
    const std::ptrdiff_t begin = arguments.starts[step];
    const std::ptrdiff_t rows = arguments.starts[step + 1] - begin;
    counts_[kSamples] = rows;
    for (std::size_t k = 0; k < packers_.size(); ++k) {
        Packer& packer = packers_[k];
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
            const std::int64_t row = arguments.row(begin + i);
            packer.first()[i] = arguments.spans[k].first[row];
            packer.lengths()[i] = static_cast<std::ptrdiff_t>(arguments.spans[k].length[row]);
        }
        packer.pack(rows);
        counts_[kPacked + k] = packer.packing().count();
    }
}

// Packed outputs go from where the ops have written them to the rows of the caller.
void Executor::deliver(Team& team) {
    for (std::size_t i = 0; i < data_.size(); ++i) {
        if (!used_[i] || !program_.data[i].is_output || !buffer_of(i).packed()) continue;
        const Packer& packer = packers_[static_cast<std::size_t>(buffer_of(i).leading - kPacked)];
        if (!packer.in_place()) {
            scatter(team, data_[i].source, packer.places(), packer.packing().count(),
                    data_[i].staging, data_[i].row_bytes);
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
        if (buffer_of(i).packed()) {
            bases_[segments_ + i] = packed_base(team, i);
            continue;
        }
        bases_[segments_ + i] =
            data_[i].rows(team, is_output ? nullptr : order, first, rows, is_output || in_a_row);
    }
}

// Where the ops find the time steps of a data array, or write them.
char* Executor::packed_base(Team& team, std::size_t index) const {
    const Packer& packer = packers_[static_cast<std::size_t>(buffer_of(index).leading - kPacked)];
    const DataArray& array = data_[index];
    if (program_.data[index].is_output && !packer.in_place()) return array.staging;
    return array.rows(team, packer.places(), 0, packer.packing().count(), packer.in_place());
}

// The row of the step behind this one, if both have one row and it can be used where it lies.
const char* Executor::next_row(const Sweep& sweep, const RunArguments& arguments,
                               std::ptrdiff_t step) const {
    if (!sweep.first || step + 1 == arguments.steps) return nullptr;
    const std::int64_t* starts = arguments.starts + step;
    if (starts[1] - starts[0] != 1 || starts[2] - starts[1] != 1) return nullptr;
    return data_[sweep.data].in_place(arguments.row(starts[1]));
}

// Where the ops of a loop find what they see at time step t.
void Executor::set_views(std::size_t index, const Packing& packing, std::ptrdiff_t t) {
    for (const std::size_t v : needs_[index].views) {
        const View& view = program_.views[v];
        const bool at_start = view.has_start() && t == 0;
        const auto shown = static_cast<std::size_t>(at_start ? view.start : view.of);
        const Buffer& buffer = program_.buffers[shown];
        const std::ptrdiff_t first = at_start ? 0 : packing.offsets[view.has_start() ? t - 1 : t];
        bases_[segments_ + program_.data.size() + v] =
            bases_[static_cast<std::size_t>(buffer.slot)] + buffer.offset +
            first * buffer.row * size_of(buffer.dtype);
    }
}

// The ops behind a loop see the samples of one time step as all there are.
template <class T>
void Executor::run_loop(const Step<T>& step, const Loop& loop, std::size_t index) {
    const Packing& packing = step.packing(loop.packing);
    const std::size_t end = index + 1 + static_cast<std::size_t>(loop.count);
    Step<T> inner = step;
    for (std::ptrdiff_t k = 0; k < packing.steps; ++k) {
        const std::ptrdiff_t t = loop.backward ? packing.steps - 1 - k : k;
        inner.extents.rows = packing.sizes[t];
        counts_[kSamples] = packing.sizes[t];
        set_views(index, packing, t);
        run_ops(inner, index + 1, end);
    }
    counts_[kSamples] = step.extents.rows;
}

template <class T>
void Executor::run_ops(const Step<T>& step, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
        const Op& node = program_.ops[i];
        if (const auto* loop = std::get_if<Loop>(&node)) {
            run_loop(step, *loop, i);
            i += static_cast<std::size_t>(loop->count);
            continue;
        }
        std::visit(
            [&](const auto& op) {
                using Kind = std::decay_t<decltype(op)>;
                if constexpr (kRunsInHost<Kind>) {
                    run_in_host(op, i, step, handed_);
                } else if constexpr (!std::is_same_v<Kind, Loop>) {
                    pybp::run(op, step);
                }
            },
            node);
    }
}

template <class T>
void Executor::run_steps(const RunArguments& arguments, Host& host) {
    const Caller caller{host, floating_point_mode(), arguments.result_columns};
    const FlushDenormals flush;
    const Kernels<T>& kernels = pybp::kernels<T>();
    Team& team = pybp::team();
    const Team::Call call(team);
    const bool checks = arguments.check_at > 0;
    const auto begin = static_cast<std::size_t>(arguments.begin);
    const auto middle = checks ? static_cast<std::size_t>(arguments.check_at) : begin;
    const auto end = static_cast<std::size_t>(arguments.end);
    const Sweep sweep = find_sweep(program_, begin, end);
    bool swept = false;  // the first op has run along with the last one of the step before
    Clock::time_point polled = Clock::now();
    for (std::ptrdiff_t s = 0; s < arguments.steps; ++s) {
        pack(arguments, s);
        set_bases(team, arguments, s);
        double* results = arguments.results + s * arguments.result_columns;
        std::fill_n(results, arguments.result_columns, 0.0);
        const std::ptrdiff_t rows = arguments.starts[s + 1] - arguments.starts[s];
        const Step<T> step{
            kernels,         team,           {program_.buffers.data(), counts_.data(), rows},
            packers_.data(), bases_.data(),  arguments.hyper + s * arguments.hyper_columns,
            results,         arguments.seed, arguments.first_step + static_cast<std::uint64_t>(s),
            scratch_,        threads_,       caller};
        const std::size_t first = begin + (swept ? 1 : 0);
        run_ops(step, first, std::max(first, middle));
        if (checks && has_nan(results, arguments.result_columns)) return;
        const char* next = next_row(sweep, arguments, s);
        run_ops(step, std::max(first, middle), next ? end - 1 : end);
        if (next) run_sweep(sweep, step, reinterpret_cast<const T*>(next));
        swept = next != nullptr;
        deliver(team);
        steps_done_.store(s + 1, std::memory_order_relaxed);
        if (s + 1 == arguments.steps) return;
        const Clock::time_point now = Clock::now();
        if (now - polled < kPollInterval) continue;
        polled = now;
        if (host.interrupted()) return;
    }
}

void Executor::run(const RunArguments& arguments, Host& host) {
    if (program_.real == DType::float64) {
        run_steps<double>(arguments, host);
    } else {
        run_steps<float>(arguments, host);
    }
}

}  // namespace pybp
