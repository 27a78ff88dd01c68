// The packing of a batch of sequences: the mirror of pybp/program/packing.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pybp {

// Where the time steps of a batch lie: step 0 of all samples comes first, then step 1 of those that
// have one ...; the samples of a step stand in the order of falling length.
struct Packing {
    std::ptrdiff_t samples = 0;
    std::ptrdiff_t steps = 0;
    const std::ptrdiff_t* lengths = nullptr;  // [samples], as the samples come
    const std::ptrdiff_t* order = nullptr;    // [samples]: row k of a step is of sample order[k]
    const std::ptrdiff_t* sizes = nullptr;    // [steps]: how many samples have step t
    const std::ptrdiff_t* offsets = nullptr;  // [steps + 1]: the first row of step t
    bool sorted = true;                       // whether order counts up by one

    std::ptrdiff_t count() const { return offsets[steps]; }
};

// Whether numbers count up by one.
bool consecutive(const std::int64_t* numbers, std::ptrdiff_t count);

// Makes the packing of each step of a run; allocates when it is made, and never again.
class Packer {
  public:
    // For up to max_rows samples with max_count time steps in all.
    Packer(std::ptrdiff_t max_rows, std::ptrdiff_t max_count);

    // The sequences of the next batch: sample i is `length[i]` steps long and begins at row
    // first[i] of the caller's arrays. Write them, then call pack().
    std::ptrdiff_t* lengths() { return lengths_.data(); }
    std::int64_t* first() { return first_.data(); }

    void pack(std::ptrdiff_t samples);
    const Packing& packing() const { return packing_; }
    // [count]: where each packed row lies in the caller's arrays.
    const std::int64_t* places() const { return places_.data(); }
    // Whether the caller's rows lie as the packed ones do.
    bool in_place() const { return in_place_; }

  private:
    std::vector<std::ptrdiff_t> lengths_;
    std::vector<std::int64_t> first_;
    std::vector<std::ptrdiff_t> order_;
    std::vector<std::ptrdiff_t> sizes_;
    std::vector<std::ptrdiff_t> offsets_;
    std::vector<std::int64_t> places_;
    bool in_place_ = false;
    Packing packing_;
};

}  // namespace pybp
