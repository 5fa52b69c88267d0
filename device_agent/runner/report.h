// What the runner says: one JSON object on one line of standard output.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "failure.h"
#include "probes.h"
#include "tracer.h"

namespace latlab {

// The three sample series are parallel, one entry for each timed run.
struct Report {
  std::vector<uint64_t> wall_ns;
  std::vector<uint64_t> cpu_ns;
  std::vector<uint64_t> involuntary_switches;
  uint64_t warmup_runs = 0;
  uint64_t load_ns = 0;       // reading the file, and from its bytes to a method ready to run
  uint64_t first_run_ns = 0;  // of the first run, which is no sample unless nothing warms up
  uint64_t planned_bytes = 0;
  std::optional<uint64_t> peak_rss_bytes;  // from loading to the last timed run
  Probes before{};
  Probes after{};
  std::vector<KernelTrace> kernels;  // empty unless traced
};

void print(const Report& report);
void print(const Failure& failure);
void print_version();

}  // namespace latlab
