// What the sample program shares: numbers to work on, and records of results beside expected ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace sample {

// Numbers in [low, high), the same ones on every machine.
class Numbers {
  public:
    double next(double low, double high) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return low + (high - low) * static_cast<double>(state_ >> 11) * 0x1p-53;
    }
    template <class T>
    std::vector<T> many(std::ptrdiff_t count, double low = -2, double high = 2) {
        std::vector<T> x(static_cast<std::size_t>(count));
        for (T& value : x) value = static_cast<T>(next(low, high));
        return x;
    }

  private:
    std::uint64_t state_ = 1;
};

// The kinds of operation in tests/tolerance.py; `same` asks for the same bits.
enum Kind { same = 0, exact = 1, linear = 4, transcendental = 8 };

// A record on standard output: a line "name type terms kind count", the results, the expected ones
// as double.
template <class T>
void record(const std::string& name, const std::vector<T>& got, const std::vector<double>& expected,
            std::ptrdiff_t terms, Kind kind) {
    std::printf("%s %s %td %d %zu\n", name.c_str(), sizeof(T) == 4 ? "float32" : "float64", terms,
                static_cast<int>(kind), got.size());
    std::fwrite(got.data(), sizeof(T), got.size(), stdout);
    std::fwrite(expected.data(), sizeof(double), expected.size(), stdout);
}

}  // namespace sample
