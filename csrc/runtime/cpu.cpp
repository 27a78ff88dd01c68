#include "cpu.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace pybp {

bool cpu_supports(const std::string& level) {
#if defined(__x86_64__)
    // The builtin reads cpuid and, for AVX, whether the system saves the wide registers (xgetbv).
    __builtin_cpu_init();
    const bool v2 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
                    __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const bool v3 = v2 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
                    __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    return (level == "v2" && v2) || (level == "v3" && v3) || (level == "v4" && v4);
#elif defined(__aarch64__)
    return level == "neon";  // part of the architecture
#else
    return level == "generic";
#endif
}

namespace {

// Version 2 writes "max 100000" or "150000 100000" into one file: microseconds of CPU time, for all
// threads together, in a period of so many microseconds.
double quota_of_version_2(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    double quota = 0;
    double period = 0;
    return file >> quota >> period && period > 0 ? quota / period : 0;
}

// Version 1 has a file for each, and a quota of -1 stands for none.
double quota_of_version_1(const std::string& folder) {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
    std::ifstream period_file(folder + "/cpu.cfs_period_us");
    double quota = 0;
    double period = 0;
    return quota_file >> quota && period_file >> period && period > 0 ? quota / period : 0;
}

// The smallest quota of a group and of those that hold it, 0 if none has one. A container may see
// its own group as the root of the tree and still be told the path from outside: folders that are
// not there have no quota.
double smallest_quota(double (*quota_of)(const std::string&), const std::string& tree,
                      std::string group) {
    double smallest = 0;
    for (;;) {
        const double quota = quota_of(tree + group);
        if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
        if (group.empty()) return smallest;
        group.erase(group.rfind('/'));
    }
}

bool names(const std::string& list, const std::string& name) {
    return ("," + list + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

int cpu_quota(const std::string& root) {
    std::ifstream groups(root + "/proc/self/cgroup");
    double smallest = 0;
    for (std::string line; std::getline(groups, line);) {  // number:controllers:/path
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        std::string group = line.substr(second + 1);
        if (group.empty() || group.front() != '/') continue;
        if (group == "/") group.clear();
        double quota = 0;
        if (controllers.empty()) {
            quota = smallest_quota(quota_of_version_2, root + "/sys/fs/cgroup", group);
        } else if (names(controllers, "cpu")) {
            quota = smallest_quota(quota_of_version_1, root + "/sys/fs/cgroup/cpu", group);
        }
        if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
    }
    constexpr double kMost = 1 << 20;
    return static_cast<int>(std::ceil(std::min(smallest, kMost)));
}

namespace {

int cpus_of_affinity() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set);
    }
#endif
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? static_cast<int>(count) : 1;
}

}  // namespace

int available_cpus() {
    const int cpus = cpus_of_affinity();
    const int quota = cpu_quota();
    return quota > 0 ? std::min(cpus, quota) : cpus;
}

std::uint64_t floating_point_mode() {
#if defined(__x86_64__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    std::uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

void set_floating_point_mode(std::uint64_t mode) {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    static_cast<void>(mode);
#endif
}

namespace {

#if defined(__x86_64__)
constexpr std::uint64_t kFlush = 0x8040;  // flush to zero, denormals are zero
#elif defined(__aarch64__)
constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  // FZ
#else
constexpr std::uint64_t kFlush = 0;
#endif

}  // namespace

FlushDenormals::FlushDenormals() : before_(floating_point_mode()) {
    set_floating_point_mode(before_ | kFlush);
}

FlushDenormals::~FlushDenormals() { set_floating_point_mode(before_); }

}  // namespace pybp
