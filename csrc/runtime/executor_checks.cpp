// What the executor checks: that a program's buffers fit into their memory, and the arguments of a
// run into the program.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "executor.h"

namespace pybp {

namespace {

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

std::string text(std::ptrdiff_t number) { return std::to_string(number); }

}  // namespace

// ---------------------------------------------------------------------------------------- bind

void Executor::check_buffer(std::size_t index, const std::vector<Segment>& segments) const {
    const Buffer& buffer = program_.buffers[index];
    const std::string name = "buffer " + std::to_string(index);
    const auto fixed = static_cast<int>(segments.size());
    const int slots = fixed + static_cast<int>(program_.data.size());
    if (program_.view_of(static_cast<int>(index))) return;  // check_view() looks at it
    if (buffer.slot < 0 || buffer.slot >= slots) {
        fail(name + ": expected one of " + text(slots) + " slots (" + text(fixed) +
             " segments, then the data), got slot " + text(buffer.slot));
    }
    if (buffer.slot >= fixed) {
        const auto data = static_cast<std::size_t>(buffer.slot - fixed);
        const auto owner = static_cast<std::size_t>(program_.data[data].buffer);
        const Buffer& array = program_.buffers[owner];
        if (buffer.offset != 0 || !buffer.batched() || buffer.dtype != array.dtype ||
            buffer.leading != array.leading || buffer.row != array.row) {
            fail(name + ": expected rows of the same size as buffer " + std::to_string(owner) +
                 ", whose data slot it shares");
        }
        return;
    }
    const Segment& segment = segments[static_cast<std::size_t>(buffer.slot)];
    const std::ptrdiff_t end = buffer.offset + program_.most_bytes(buffer);
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
    if (slot.is_output && !buffer.packed()) return;
    if (slot.staging_slot < 0 || slot.staging_slot >= static_cast<int>(segments.size())) {
        fail(name + ": expected staging in one of " + std::to_string(segments.size()) +
             " segments, got slot " + text(slot.staging_slot));
    }
    const Segment& segment = segments[static_cast<std::size_t>(slot.staging_slot)];
    const std::ptrdiff_t end = slot.staging_offset + program_.most_bytes(buffer);
    const auto address = reinterpret_cast<std::uintptr_t>(segment.base + slot.staging_offset);
    if (slot.staging_offset < 0 || end > segment.bytes ||
        address % static_cast<std::uintptr_t>(size_of(buffer.dtype)) != 0) {
        fail(name + ": expected aligned staging within the " + text(segment.bytes) +
             " bytes of segment " + text(slot.staging_slot) + ", got " + text(slot.staging_offset) +
             " ... " + text(end));
    }
}

void Executor::check_view(std::size_t index, const std::vector<Segment>& segments) const {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(program_.views[index].buffer)];
    const auto expected = static_cast<int>(segments.size() + program_.data.size() + index);
    if (buffer.slot != expected) {
        fail("view " + std::to_string(index) + ": expected its buffer in slot " + text(expected) +
             ", got " + text(buffer.slot));
    }
}

void Executor::bind(const std::vector<Segment>& segments) {
    for (std::size_t i = 0; i < program_.data.size(); ++i) check_staging(i, segments);
    for (std::size_t i = 0; i < program_.buffers.size(); ++i) check_buffer(i, segments);
    for (std::size_t i = 0; i < program_.views.size(); ++i) check_view(i, segments);
    segments_ = segments.size();
    bases_.assign(segments_ + program_.data.size() + program_.views.size(), nullptr);
    for (std::size_t i = 0; i < segments_; ++i) bases_[i] = segments[i].base;
}

// ----------------------------------------------------------------------------------------- run

// A range of ops that does not cut a loop.
void Executor::check_range(const RunArguments& arguments) const {
    const auto count = static_cast<std::ptrdiff_t>(program_.ops.size());
    if (arguments.begin < 0 || arguments.end > count || arguments.begin > arguments.end) {
        fail("ops: expected 0 <= begin <= end <= " + text(count) + ", got " +
             text(arguments.begin) + " and " + text(arguments.end));
    }
    const bool checks = arguments.check_at > 0;
    if (checks && (arguments.check_at < arguments.begin || arguments.check_at > arguments.end)) {
        fail("check_at: expected an op from " + text(arguments.begin) + " to " +
             text(arguments.end) + ", got " + text(arguments.check_at));
    }
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        const auto* loop = std::get_if<Loop>(&program_.ops[static_cast<std::size_t>(i)]);
        if (!loop) continue;
        const auto cuts = [&](std::ptrdiff_t at) { return at > i && at <= i + loop->count; };
        if (cuts(arguments.begin) || cuts(arguments.end) || cuts(arguments.check_at)) {
            fail("ops: " + text(arguments.begin) + " ... " + text(arguments.end) +
                 " cut the loop that begins with op " + text(i));
        }
    }
}

void Executor::check_rows(const RunArguments& arguments) const {
    const std::int64_t* starts = arguments.starts;
    for (std::ptrdiff_t s = 0; s < arguments.steps; ++s) {
        if (starts[s + 1] <= starts[s] || starts[s + 1] - starts[s] > program_.max_rows()) {
            fail("starts: expected steps of 1 ... " + text(program_.max_rows()) +
                 " rows, got step " + text(s) + " from " + text(starts[s]) + " to " +
                 text(starts[s + 1]));
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
    check_spans(arguments);
    for (std::size_t i = 0; i < data_.size(); ++i) {
        if (!used_[i] || buffer_of(i).packed()) continue;
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

// Spans are given for all packings or, where no op works on sequences of the caller, for none.
void Executor::check_spans(const RunArguments& arguments) const {
    if (arguments.span_count != packers_.size()) {
        fail("spans: expected those of " + std::to_string(packers_.size()) + " packings, got " +
             std::to_string(arguments.span_count));
    }
    for (std::size_t k = 0; k < packers_.size(); ++k) check_lengths(arguments, k);
}

// Every step fits into the plan, and every sequence lies in the arrays that it is read from.
void Executor::check_lengths(const RunArguments& arguments, std::size_t packing) const {
    const Spans& spans = arguments.spans[packing];
    const std::string name = "spans " + std::to_string(packing);
    const std::ptrdiff_t fixed = program_.fixed_steps[packing];
    const std::ptrdiff_t most = program_.capacity[kPacked + packing];
    std::int64_t rows = INT64_MAX;  // of the shortest array
    for (std::size_t i = 0; i < data_.size(); ++i) {
        if (!used_[i] || buffer_of(i).leading != kPacked + static_cast<int>(packing)) continue;
        rows = std::min(rows, static_cast<std::int64_t>(data_[i].source.length));
    }
    for (std::ptrdiff_t s = 0; s < arguments.steps; ++s) {
        std::int64_t total = 0;
        for (std::int64_t i = arguments.starts[s]; i < arguments.starts[s + 1]; ++i) {
            const std::int64_t row = arguments.row(i);
            if (row < 0 || row >= spans.rows) {
                fail(name + ": has " + text(spans.rows) + " rows, but the steps use row " +
                     text(row));
            }
            const std::int64_t first = spans.first[row];
            const std::int64_t length = spans.length[row];
            const bool wrong =
                length < 0 || length > longest_[packing] || (fixed > 0 && length != fixed);
            if (wrong || first < 0 || first > rows - length) {
                fail(name + ": row " + text(row) + " has " + text(length) + " time steps from " +
                     text(first) + " on, expected at most " +
                     text(fixed > 0 ? fixed : longest_[packing]) + " within " + text(rows));
            }
            total += length;
        }
        if (total > most) {
            fail(name + ": expected steps of at most " + text(most) + " time steps, got " +
                 text(total));
        }
    }
}

}  // namespace pybp
