// The one way to run on several threads.
//
//   team().parallel_for(count, [&](std::ptrdiff_t task) { ... });
//
// runs task 0 ... count - 1, each exactly once, and returns when all are done. The caller takes
// part; who is free takes the next task. A task must not throw. Results must not depend on which
// thread runs a task; then they are the same for any number of threads.
//
// If the team is busy with another thread's call, or the call comes from inside a task, the caller
// runs all tasks itself. Workers start on first use, spin for a moment and then sleep; a forked
// child starts a fresh team. Workers take over the caller's floating-point mode.
//
// Threads that are in native calls at the same time, each under a Team::Call, share the team: with
// every caller a worker less takes part, so that no more threads work than the team has.
#pragma once

#include <cstddef>

namespace pybp {

using Task = void (*)(const void* context, std::ptrdiff_t task);

class Team {
  public:
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    template <class F>
    void parallel_for(std::ptrdiff_t count, const F& f) {
        if (count == 1) {
            f(std::ptrdiff_t{0});
            return;
        }
        run(
            count,
            [](const void* context, std::ptrdiff_t task) {
                (*static_cast<const F*>(context))(task);
            },
            &f);
    }

    // While it lives, this thread is in a native call. One inside another counts once.
    class Call {
      public:
        explicit Call(Team& team);
        ~Call();
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

      private:
        Team& team_;
    };

    // The number of threads that share the work, the caller included.
    int size() const;
    // Throws std::invalid_argument unless 1 <= size <= kMaxThreads.
    void set_size(int size);

    // For the child of a fork: the next call starts fresh workers.
    void forget_threads();

    static constexpr int kMaxThreads = 1024;

  private:
    friend Team& team();
    struct State;

    Team();
    void run(std::ptrdiff_t count, Task task, const void* context);
    // How many threads may help the caller with `count` tasks.
    int helpers(std::ptrdiff_t count) const;

    State* state_;
};

// The team of this process. Its first size: PYBP_NUM_THREADS, else OMP_NUM_THREADS, else
// available_cpus(). Throws std::runtime_error if PYBP_NUM_THREADS is not a positive number.
Team& team();

void set_num_threads(int count);
int num_threads();

}  // namespace pybp
