#include "sweep.h"

namespace pybp {
namespace {

bool is_data(const Program& program, int slot) {
    for (const DataSlot& data : program.data) {
        if (program.buffers[static_cast<std::size_t>(data.buffer)].slot == slot) return true;
    }
    return false;
}

}  // namespace

Sweep find_sweep(const Program& program, std::size_t begin, std::size_t end) {
    if (end - begin < 2) return {};
    const auto* first = std::get_if<Dense>(&program.ops[begin]);
    const auto* last = std::get_if<SGDDense>(&program.ops[end - 1]);
    if (!first || !last || first->x.index != last->x.index || first->w.index != last->w.index ||
        first->b.index != last->b.index) {
        return {};
    }
    const Buffer& y = program.buffers[static_cast<std::size_t>(first->y.index)];
    if (is_data(program, y.slot)) return {};
    for (std::size_t d = 0; d < program.data.size(); ++d) {
        const Buffer& x = program.buffers[static_cast<std::size_t>(program.data[d].buffer)];
        const bool whole = x.leading == kSamples && x.axes() == 2;
        if (program.data[d].buffer == first->x.index && whole) return {first, last, d};
    }
    return {};
}

}  // namespace pybp
