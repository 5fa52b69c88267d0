#include "threads.h"

#include <executorch/runtime/core/function_ref.h>
#include <sched.h>

#include <atomic>
#include <cstddef>

#include "clock.h"
#include "failure.h"

// Exported by ExecuTorch's thread pool library, whose header the SDK does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
  void run(runtime::FunctionRef<void(size_t)> task, size_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace latlab {
namespace {

constexpr uint64_t kStartTimeoutNs = 10'000'000'000;

}  // namespace

void set_threads(uint32_t threads) {
  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (pool == nullptr || !pool->_unsafe_reset_threadpool(threads)) {
    throw Failure("execution_error", "ExecuTorch's thread pool cannot be resized");
  }
  // As many tasks as threads, each of which waits for all: every thread takes one.
  std::atomic<uint32_t> arrived{0};
  const uint64_t deadline_ns = wall_ns() + kStartTimeoutNs;
  const auto arrive_and_wait = [&](size_t) {
    ++arrived;
    while (arrived < threads && wall_ns() < deadline_ns) sched_yield();
  };
  pool->run(arrive_and_wait, threads);
  // Tasks that gave up waiting leave others to the same threads: the clock tells.
  if (threads > 1 && wall_ns() >= deadline_ns) {
    throw Failure("execution_error", "the threads of ExecuTorch's thread pool do not start");
  }
}

}  // namespace latlab
