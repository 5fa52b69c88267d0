// The command line of one visit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace latlab {

using Shape = std::vector<int32_t>;

struct Options {
  std::string program;
  std::vector<Shape> inputs;
  std::vector<int> cpus;  // empty: wherever the scheduler likes
  uint32_t threads = 1;
  uint64_t seed = 0;
  uint64_t warmup_runs = 10;
  uint64_t warmup_ns = 200'000'000;
  uint64_t timed_runs = 10;
  uint64_t timed_ns = 300'000'000;
  uint64_t max_timed_runs = 2'000;
  bool traced = false;
};

// Throws std::invalid_argument with one line that says what is wrong.
Options parse_options(int argc, char** argv);

}  // namespace latlab
