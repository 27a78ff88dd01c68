// The rules of loops over time and of the ops around them.
#pragma once

#include "checker.h"

namespace pybp {

inline void check(const Loop& op, const Checker& is) { is.has_packing(op.packing); }

inline void check(const ByRank& op, const Checker& is) {
    is.has_packing(op.packing);
    is.has_axes("x", op.x, 1);
    const Shape x = is.shape(op.x);
    is.require(x.front() == kRows, "x", "expected (n, ...), got " + text(x));
    is.has("y", op.y, x);
}

inline void check(const LastStep& op, const Checker& is) {
    is.has_packing(op.packing);
    Shape y = is.steps_of("x", op.x, op.packing);
    y.front() = kRows;
    is.has("y", op.y, y);
}

inline void check(const LastStepGrad& op, const Checker& is) {
    is.has_packing(op.packing);
    Shape dy = is.steps_of("dx", op.dx, op.packing);
    dy.front() = kRows;
    is.has("dy", op.dy, dy);
}

inline void check(const ReverseSteps& op, const Checker& is) {
    is.has_packing(op.packing);
    is.has("y", op.y, is.steps_of("x", op.x, op.packing));
}

inline void check(const Zeros& op, const Checker& is) { is.has("y", op.y, op.shape); }

// ------------------------------------------------------------------------- the ops of a loop

template <class Op>
inline constexpr bool kStandsInLoop =
    !std::is_base_of_v<Loss, Op> && !std::is_same_v<Op, Accuracy> && kHyperCount<Op> == 0;

// Looks at one op of a loop.
class LoopChecker {
  public:
    LoopChecker(const Program& program, const Loop& loop, std::size_t index)
        : program_(program), loop_(loop), index_(index) {}

    template <class Op>
    void operator()(const Op& op) const {
        if constexpr (!kStandsInLoop<Op>) fail("can't stand in a loop");
        fields(op, [&](const char* name, const auto& field) {
            if (std::string(name) == "packing") fail("can't stand in a loop");
            for_each_index(field, [&](int buffer) { check_buffer(buffer); });
        });
    }

  private:
    [[noreturn]] void fail(const std::string& message) const {
        throw std::invalid_argument("op " + std::to_string(index_) + ": " + message);
    }

    // Fixed buffers and values of the step; views of the loop's packing.
    void check_buffer(int index) const {
        const Buffer& buffer = program_.buffers[static_cast<std::size_t>(index)];
        const std::string name = "buffer " + std::to_string(index);
        if (buffer.packed()) fail(name + " is packed: a loop sees it through views alone");
        for (const DataSlot& slot : program_.data) {
            const Buffer& data = program_.buffers[static_cast<std::size_t>(slot.buffer)];
            if (data.slot == buffer.slot) fail(name + " is data: no loop may use it");
        }
        const View* view = program_.view_of(index);
        if (view && program_.buffers[static_cast<std::size_t>(view->of)].leading !=
                        kPacked + static_cast<int>(loop_.packing)) {
            fail(name + " is a view of another packing than the loop's");
        }
    }

    const Program& program_;
    const Loop& loop_;
    std::size_t index_;
};

// No op outside of a loop uses a view: it has no time step.
inline void check_no_views(const Program& program, std::size_t index) {
    std::visit(
        [&](const auto& op) {
            fields(op, [&](const char*, const auto& field) {
                for_each_index(field, [&](int buffer) {
                    if (!program.view_of(buffer)) return;
                    throw std::invalid_argument("op " + std::to_string(index) +
                                                ": uses a view outside of a loop");
                });
            });
        },
        program.ops[index]);
}

inline void check_loops(const Program& program) {
    const std::size_t count = program.ops.size();
    for (std::size_t i = 0; i < count; ++i) {
        const auto* loop = std::get_if<Loop>(&program.ops[i]);
        if (!loop) {
            check_no_views(program, i);
            continue;
        }
        if (loop->count < 1 || loop->count >= static_cast<std::int64_t>(count - i)) {
            throw std::invalid_argument("op " + std::to_string(i) + " (loop), field count: got " +
                                        std::to_string(loop->count) + ", but " +
                                        std::to_string(count - i - 1) + " ops follow");
        }
        for (std::int64_t k = 0; k < loop->count; ++k) {
            ++i;
            std::visit(LoopChecker(program, *loop, i), program.ops[i]);
        }
    }
}

// What a view shows has rows like its own.
inline void check_views(const Program& program) {
    const auto count = static_cast<int>(program.buffers.size());
    const auto buffer = [&](int index) -> const Buffer& {
        if (index < 0 || index >= count) throw std::invalid_argument("expected a buffer");
        return program.buffers[static_cast<std::size_t>(index)];
    };
    for (std::size_t i = 0; i < program.views.size(); ++i) {
        const View& view = program.views[i];
        const std::string name = "view " + std::to_string(i);
        try {
            const Buffer& own = buffer(view.buffer);
            const Buffer& of = buffer(view.of);
            const bool like = own.leading == kSamples && own.offset == 0 && of.packed() &&
                              of.row == own.row && of.dtype == own.dtype;
            if (!like || program.view_of(view.of)) {
                throw std::invalid_argument("expected a buffer (n, ...) and a packed one");
            }
            if (!view.has_start()) continue;
            const Buffer& start = buffer(view.start);
            if (start.leading != kSamples || start.row != own.row || start.dtype != own.dtype ||
                program.view_of(view.start)) {
                throw std::invalid_argument("expected a start like the view");
            }
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(name + ": " + error.what());
        }
    }
}

}  // namespace pybp
