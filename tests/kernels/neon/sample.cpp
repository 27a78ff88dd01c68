// Runs a sample of every family of kernels where the package itself can't run: under an emulator.
//
//   sample                   writes records (record.h) of results beside expected ones
//   sample NAME TYPE         reads numbers, writes what the vector function NAME makes of them
#include <cstring>

#include "families.h"
#include "products.h"
#include "runtime/threads.h"

namespace sample {

template <class T>
int vector_math(const char* name) {
    const ElementwiseKernels<T>& table = kernels<T>().elementwise;
    const struct {
        const char* name;
        void (*function)(const T* x, T* y, std::ptrdiff_t count);
    } functions[] = {{"exp", table.exp},
                     {"expm1", table.expm1},
                     {"log", table.log},
                     {"log1p", table.log1p},
                     {"tanh", table.tanh},
                     {"sigmoid", table.sigmoid},
                     {"normal_cdf", table.normal_cdf}};
    std::vector<T> x;
    for (T value; std::fread(&value, sizeof value, 1, stdin) == 1;) x.push_back(value);
    std::vector<T> y(x.size());
    for (const auto& entry : functions) {
        if (std::strcmp(entry.name, name) != 0) continue;
        entry.function(x.data(), y.data(), static_cast<std::ptrdiff_t>(x.size()));
        std::fwrite(y.data(), sizeof(T), y.size(), stdout);
        return 0;
    }
    return 1;
}

template <class T>
void all() {
    Numbers numbers;
    products<T>(numbers);
    families<T>(numbers);
}

}  // namespace sample

int main(int count, char** words) {
    pybp::set_num_threads(2);
    if (count == 3) {
        return std::strcmp(words[2], "float32") == 0 ? sample::vector_math<float>(words[1])
                                                     : sample::vector_math<double>(words[1]);
    }
    sample::all<float>();
    sample::all<double>();
    return 0;
}
