// The command line of one visit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace latlab {

using Shape = std::vector<int32_t>;

// The inclusive range that integers are drawn from.
struct Range {
  int64_t low;
  int64_t high;
};

// One input as the request names it: "1x128:int64:0..30521" on the command line, with
// float32 where it says no more than a shape, and no shape for a scalar.
struct InputSpec {
  Shape shape;
  std::string dtype = "float32";
  std::optional<Range> range;
};

struct Options {
  std::string program;
  std::vector<InputSpec> inputs;
  std::vector<int> cpus;  // empty: wherever the scheduler likes
  uint32_t threads = 1;
  std::optional<uint64_t> memory_bytes;  // of address space; none: as much as its starter's
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
