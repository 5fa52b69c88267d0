// Nanoseconds from a backend whose profiler counts in whole microseconds.
#pragma once

#include <cstdint>

namespace latlab {

// While one exists, CLOCK_MONOTONIC runs a thousand times as fast for this thread, as any
// library reads it by clock_gettime: fast_clock.cpp defines that function, and the linker
// prefers the executable's definition to the C library's. One microsecond that a backend
// counts is then a nanosecond. Without it XNNPACK rounds every kernel down to whole
// microseconds, and loses half a microsecond of each. There may be one at a time.
class FastClock {
 public:
  FastClock();
  ~FastClock();
  FastClock(const FastClock&) = delete;
  FastClock& operator=(const FastClock&) = delete;

  // How much too long the durations are that libraries measured since this was made: 1 where
  // none has read the fast clock, as in a build whose libraries find another clock_gettime.
  uint64_t speed() const;
};

}  // namespace latlab
