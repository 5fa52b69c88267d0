// The clocks and counters read around every timed run.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <cstdint>

namespace latlab {

inline uint64_t read_clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// Never slewed by NTP.
inline uint64_t wall_ns() { return read_clock_ns(CLOCK_MONOTONIC_RAW); }

// With one thread, that thread's; with more, the whole process's, so that the pool's share
// is in it and wall minus CPU time no longer tells waiting.
inline uint64_t cpu_ns(uint32_t threads) {
  return read_clock_ns(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID);
}

inline uint64_t involuntary_switches(uint32_t threads) {
  rusage usage;
  getrusage(threads == 1 ? RUSAGE_THREAD : RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_nivcsw);
}

}  // namespace latlab
