#include "threads.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>

#include "cpu.h"

#include <atomic>
#if defined(PYBP_OPENMP)
#include <omp.h>
#else
#include <condition_variable>
#include <thread>
#include <vector>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define PYBP_HAS_FORK 1
#endif

namespace pybp {

namespace {

void run_serially(std::ptrdiff_t count, Task task, const void* context) {
    for (std::ptrdiff_t i = 0; i < count; ++i) task(context, i);
}

int positive(const char* text) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    return end != text && *end == '\0' && value > 0 && value <= Team::kMaxThreads
               ? static_cast<int>(value)
               : 0;
}

int first_size() {
    if (const char* own = std::getenv("PYBP_NUM_THREADS"); own && *own) {
        if (const int size = positive(own)) return size;
        throw std::runtime_error("PYBP_NUM_THREADS must be a whole number from 1 to " +
                                 std::to_string(Team::kMaxThreads) + ", got '" + own + "'");
    }
    // Others share this variable and write lists into it ("4,2"): what we can't read is not ours.
    if (const char* shared = std::getenv("OMP_NUM_THREADS"); shared && *shared) {
        if (const int size = positive(shared)) return size;
    }
    return std::min(available_cpus(), Team::kMaxThreads);
}

thread_local bool inside_task = false;
thread_local int calls_of_thread = 0;  // native calls, one inside the other

}  // namespace

#if defined(PYBP_OPENMP)

struct Team::State {
    std::mutex busy;  // one call at a time uses the threads
    std::atomic<int> size{first_size()};
    std::atomic<int> calls{0};  // threads that are in native calls
};

void Team::run(std::ptrdiff_t count, Task task, const void* context) {
    State& state = *state_;
    std::unique_lock<std::mutex> mine(state.busy, std::defer_lock);
    const int members = 1 + helpers(count);
    if (inside_task || members == 1 || !mine.try_lock()) {
        return run_serially(count, task, context);
    }
    const std::uint64_t mode = floating_point_mode();
#pragma omp parallel num_threads(members)
    {
        const std::uint64_t before = floating_point_mode();
        set_floating_point_mode(mode);
        inside_task = true;
        const int step = omp_get_num_threads();
        for (std::ptrdiff_t i = omp_get_thread_num(); i < count; i += step) task(context, i);
        inside_task = false;
        set_floating_point_mode(before);
    }
}

#else

namespace {

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Some 20 microseconds: longer than the gap between two kernels of a step, shorter than what
// anybody else on the machine would notice.
constexpr int kSpins = 1000;

// A ticket: the number of a job above, the count of its tasks that nobody took below.
constexpr int kTaskBits = 24;
constexpr std::uint64_t kMostTasks = (std::uint64_t{1} << kTaskBits) - 1;

struct Job {
    std::ptrdiff_t count = 0;
    Task task = nullptr;
    const void* context = nullptr;
    std::uint64_t mode = 0;
};

}  // namespace

// A job is published in `ticket`: its number and how many of its tasks are not yet taken. Whoever
// takes a task lowers the ticket by one, and lowers `unfinished` when the task is done. The caller
// takes tasks like everybody else, so it never waits for a worker that has not begun: on a busy
// machine a call costs at most what it costs alone. Only who holds a task reads `job`, and it is
// written only when none is unfinished.
//
// Whoever has spun long enough first announces that it sleeps and then looks once more; whoever
// changes a counter does so before it looks for sleepers. Both orders are sequentially consistent,
// so one of the two sees the other, and a lock is needed only where somebody sleeps.
struct Team::State {
    std::mutex busy;  // one call at a time uses the workers
    std::atomic<int> size{first_size()};
    std::atomic<int> calls{0};  // threads that are in native calls

    // Each line of cache changes hands once: this one on the way to the workers, ...
    alignas(64) Job job;
    std::atomic<int> helpers{0};  // the workers 1 ... helpers take part in the job
    std::atomic<std::uint64_t> ticket{0};
    // ... this one on the way back.
    alignas(64) std::atomic<std::ptrdiff_t> unfinished{0};

    alignas(64) std::mutex sleep;
    std::condition_variable wake;  // a job began
    std::condition_variable done;  // unfinished became 0
    std::atomic<int> sleeping_workers{0};
    std::atomic<bool> sleeping_caller{false};
    std::atomic<bool> stop{false};
    std::vector<std::thread> workers;

    void start();
    void finish();
    std::uint64_t publish(std::ptrdiff_t count);
    std::ptrdiff_t take(std::uint64_t number);
    void report();
    std::uint64_t wait_for_job(std::uint64_t seen);
    void wait_for_workers();
    void work(int member, std::uint64_t seen);
};

void Team::State::start() {
    const int members = size.load(std::memory_order_relaxed);
    stop.store(false);
    const std::uint64_t seen = ticket.load() >> kTaskBits;
    for (int member = 1; member < members; ++member) {
        try {
            workers.emplace_back([this, member, seen] { work(member, seen); });
        } catch (const std::exception&) {
            return;  // no more threads to be had: those that started share the work
        }
    }
}

void Team::State::finish() {
    if (workers.empty()) return;
    stop.store(true);
    publish(0);
    for (std::thread& worker : workers) worker.join();
    workers.clear();
}

// Returns the number of the new job.
std::uint64_t Team::State::publish(std::ptrdiff_t count) {
    const std::uint64_t number = (ticket.load(std::memory_order_relaxed) >> kTaskBits) + 1;
    ticket.store(number << kTaskBits | static_cast<std::uint64_t>(count));
    if (sleeping_workers.load() > 0) {
        std::lock_guard<std::mutex> hold(sleep);
        wake.notify_all();
    }
    return number;
}

// Returns a task of the job with this number, or -1 if none is left.
std::ptrdiff_t Team::State::take(std::uint64_t number) {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while (seen >> kTaskBits == number && (seen & kMostTasks) > 0) {
        if (ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) {
            return job.count - static_cast<std::ptrdiff_t>(seen & kMostTasks);
        }
    }
    return -1;
}

// A task is done.
void Team::State::report() {
    if (unfinished.fetch_sub(1) != 1 || !sleeping_caller.load()) return;
    std::lock_guard<std::mutex> hold(sleep);
    done.notify_one();
}

// Returns the number of a job other than `seen`.
std::uint64_t Team::State::wait_for_job(std::uint64_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
        const std::uint64_t number = ticket.load(std::memory_order_acquire) >> kTaskBits;
        if (number != seen) return number;
        pause();
    }
    std::unique_lock<std::mutex> hold(sleep);
    sleeping_workers.fetch_add(1);
    wake.wait(hold, [&] { return ticket.load() >> kTaskBits != seen; });
    sleeping_workers.fetch_sub(1);
    return ticket.load(std::memory_order_acquire) >> kTaskBits;
}

void Team::State::wait_for_workers() {
    for (int spin = 0; spin < kSpins; ++spin) {
        if (unfinished.load(std::memory_order_acquire) == 0) return;
        pause();
    }
    std::unique_lock<std::mutex> hold(sleep);
    sleeping_caller.store(true);
    done.wait(hold, [&] { return unfinished.load() == 0; });
    sleeping_caller.store(false);
}

void Team::State::work(int member, std::uint64_t seen) {
    inside_task = true;
    for (;;) {
        seen = wait_for_job(seen);
        if (stop.load()) return;
        // Of an older job or a newer one, if this worker is late: one more or one less takes part.
        if (member > helpers.load(std::memory_order_relaxed)) continue;
        for (std::ptrdiff_t i = take(seen); i >= 0; i = take(seen)) {
            set_floating_point_mode(job.mode);
            job.task(job.context, i);
            report();
        }
    }
}

void Team::run(std::ptrdiff_t count, Task task, const void* context) {
    State& state = *state_;
    std::unique_lock<std::mutex> mine(state.busy, std::defer_lock);
    const int others = helpers(count);
    if (inside_task || others == 0 || count > static_cast<std::ptrdiff_t>(kMostTasks) ||
        !mine.try_lock()) {
        return run_serially(count, task, context);
    }
    if (state.workers.empty()) state.start();
    state.helpers.store(others, std::memory_order_relaxed);
    state.job = Job{count, task, context, floating_point_mode()};
    state.unfinished.store(count, std::memory_order_relaxed);
    const std::uint64_t number = state.publish(count);
    inside_task = true;
    for (std::ptrdiff_t i = state.take(number); i >= 0; i = state.take(number)) {
        task(context, i);
        state.unfinished.fetch_sub(1);
    }
    inside_task = false;
    state.wait_for_workers();
}

#endif

Team::Team() : state_(new State) {}

int Team::size() const { return state_->size; }

int Team::helpers(std::ptrdiff_t count) const {
    const int callers = std::max(state_->calls.load(std::memory_order_relaxed), 1);
    const std::ptrdiff_t idle = state_->size.load(std::memory_order_relaxed) - callers;
    return static_cast<int>(std::max<std::ptrdiff_t>(std::min(idle, count - 1), 0));
}

Team::Call::Call(Team& team) : team_(team) {
    if (calls_of_thread++ == 0) team_.state_->calls.fetch_add(1, std::memory_order_relaxed);
}

Team::Call::~Call() {
    if (--calls_of_thread == 0) team_.state_->calls.fetch_sub(1, std::memory_order_relaxed);
}

void Team::set_size(int size) {
    if (size < 1 || size > kMaxThreads) {
        throw std::invalid_argument("the number of threads must be 1 to " +
                                    std::to_string(kMaxThreads) + ", got " + std::to_string(size));
    }
    std::lock_guard<std::mutex> hold(state_->busy);  // waits for a call that is under way
#if !defined(PYBP_OPENMP)
    if (size != state_->size) state_->finish();
#endif
    state_->size = size;
}

void Team::forget_threads() {
    // The child of a fork has the parent's memory but none of its workers: their handles, and locks
    // that may be held, can be neither used nor destroyed. The old state is left behind on purpose.
    int size = state_->size;
#if defined(PYBP_OPENMP)
    size = 1;  // GNU OpenMP hangs in a child whose parent had a team
#endif
    state_ = new State;
    state_->size = size;
    state_->calls = calls_of_thread > 0 ? 1 : 0;  // no other thread has come along
}

namespace {

#if defined(PYBP_HAS_FORK)
void forget_threads_in_child() {
    inside_task = false;
    team().forget_threads();
}
#endif

}  // namespace

Team& team() {
    // Never destroyed: at exit the workers may sleep in it, and the system ends them.
    static Team* one = [] {
        Team* made = new Team;
#if defined(PYBP_HAS_FORK)
        pthread_atfork(nullptr, nullptr, forget_threads_in_child);
#endif
        return made;
    }();
    return *one;
}

void set_num_threads(int count) { team().set_size(count); }
int num_threads() { return team().size(); }

}  // namespace pybp
