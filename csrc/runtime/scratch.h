// Scratch memory, cut into arrays that begin at cache lines.
#pragma once

#include <cstddef>

#include "rounding.h"

namespace pybp {

// Hands out aligned parts of a scratch, or counts their bytes if there is none.
class Scratch {
  public:
    explicit Scratch(char* base = nullptr) : base_(base) {}

    template <class T>
    T* take(std::ptrdiff_t count) {
        constexpr std::ptrdiff_t kLine = 64;
        T* part = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
        used_ += round_up(count * static_cast<std::ptrdiff_t>(sizeof(T)), kLine);
        return part;
    }
    std::ptrdiff_t used() const { return used_; }

  private:
    char* base_;
    std::ptrdiff_t used_ = 0;
};

}  // namespace pybp
