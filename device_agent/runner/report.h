// What the runner says: one JSON object on one line of standard output.
#pragma once

#include <cstdint>
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
  uint64_t load_ns = 0;         // from opening the file to a method ready to run
  uint64_t peak_rss_bytes = 0;  // from loading to the last timed run
  Probes before{};
  Probes after{};
  std::vector<KernelTrace> kernels;  // empty unless traced
};

void print(const Report& report);
void print(const Failure& failure);
void print_version();

}  // namespace latlab
