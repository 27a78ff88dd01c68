// What this machine can do, and the floating-point mode of a thread.
#pragma once

#include <cstdint>
#include <string>

namespace pybp {

// Whether the processor and the operating system support the named ISA level.
bool cpu_supports(const std::string& level);

// The number of CPUs whose time the control groups of this process allow it, rounded up; 0 without
// a limit. `root` stands before /proc/self/cgroup and /sys/fs/cgroup.
int cpu_quota(const std::string& root = "");

// The number of CPUs this process may run on, by its affinity and its quota, at least 1.
int available_cpus();

// The floating-point control word of this thread (MXCSR, FPCR), and the way to put it back.
std::uint64_t floating_point_mode();
void set_floating_point_mode(std::uint64_t mode);

// While it lives, this thread has another floating-point mode.
class FloatingPointMode {
  public:
    explicit FloatingPointMode(std::uint64_t mode) : before_(floating_point_mode()) {
        set_floating_point_mode(mode);
    }
    ~FloatingPointMode() { set_floating_point_mode(before_); }
    FloatingPointMode(const FloatingPointMode&) = delete;
    FloatingPointMode& operator=(const FloatingPointMode&) = delete;

  private:
    std::uint64_t before_;
};

// While it lives, denormal numbers of this thread count as 0, read and written. The thread team
// hands the caller's mode on to its workers, so one guard around a native call is enough.
class FlushDenormals {
  public:
    FlushDenormals();
    ~FlushDenormals();
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

  private:
    std::uint64_t before_;
};

}  // namespace pybp
