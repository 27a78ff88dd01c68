// The shape rules of the ops, once more in C++: what run() relies on without looking.
#include <stdexcept>
#include <string>

#include "checks/call.h"
#include "checks/conv.h"
#include "checks/dense.h"
#include "checks/elementwise.h"
#include "checks/embedding.h"
#include "checks/loop.h"
#include "checks/losses.h"
#include "checks/norm.h"
#include "checks/pool.h"
#include "checks/recurrent.h"
#include "checks/regularize.h"
#include "checks/sequence.h"
#include "checks/updates.h"

namespace pybp {
namespace {

[[noreturn]] void fail_data(std::size_t index, const std::string& message) {
    throw std::invalid_argument("data slot " + std::to_string(index) + ": " + message);
}

void check_data(const Program& program) {
    const int count = static_cast<int>(program.buffers.size());
    for (std::size_t i = 0; i < program.data.size(); ++i) {
        const int index = program.data[i].buffer;
        if (index < 0 || index >= count) {
            fail_data(i, "expected the index of one of " + std::to_string(count) +
                             " buffers, got " + std::to_string(index));
        }
        const Buffer& buffer = program.buffers[static_cast<std::size_t>(index)];
        if (!buffer.batched()) fail_data(i, "expected a buffer with one row a sample");
        if (buffer.dtype == DType::uint8) fail_data(i, "expected real numbers or int32");
        if (buffer.offset != 0) fail_data(i, "expected a buffer at offset 0");
    }
}

void check_packings(const Program& program) {
    const std::size_t packings = program.fixed_steps.size();
    if (program.capacity.size() != kPacked + packings) {
        throw std::invalid_argument("expected the most time steps of " + std::to_string(packings) +
                                    " packings, got " +
                                    std::to_string(program.capacity.size() - kPacked));
    }
    for (std::size_t k = 0; k < packings; ++k) {
        if (program.capacity[kPacked + k] < 1 || program.fixed_steps[k] < 0) {
            throw std::invalid_argument("packing " + std::to_string(k) +
                                        ": expected room for at least 1 time step");
        }
    }
    for (std::size_t i = 0; i < program.buffers.size(); ++i) {
        if (program.buffers[i].leading >= static_cast<int>(kPacked + packings)) {
            throw std::invalid_argument("buffer " + std::to_string(i) + ": there are only " +
                                        std::to_string(packings) + " packings");
        }
    }
}

}  // namespace

void verify(const Program& program) {
    if (program.max_rows() < 1) {
        throw std::invalid_argument("max_rows must be at least 1, got " +
                                    std::to_string(program.max_rows()));
    }
    check_packings(program);
    check_data(program);
    check_views(program);
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
        std::visit(
            [&](const auto& op) {
                const Checker checker(program, i, op.kKind);
                fields(op,
                       [&](const char* name, const auto& field) { checker.operand(name, field); });
                check(op, checker);
            },
            program.ops[i]);
    }
    check_loops(program);
}

}  // namespace pybp
