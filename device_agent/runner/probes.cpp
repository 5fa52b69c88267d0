#include "probes.h"

#include <cstddef>
#include <vector>

#include "clock.h"

namespace latlab {
namespace {

constexpr size_t kArithmeticSteps = 4'500'000;
constexpr size_t kSweepBytes = 16 << 20;
constexpr size_t kCacheLineBytes = 64;
constexpr size_t kSweeps = 9;

volatile uint64_t sink;  // what is stored here must be computed

uint64_t probe_arithmetic() {
  const uint64_t start = wall_ns();
  uint64_t x = 1;
  for (size_t i = 0; i < kArithmeticSteps; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;  // each step waits for the last
  }
  sink = x;
  return wall_ns() - start;
}

uint64_t probe_memory() {
  constexpr size_t kStride = kCacheLineBytes / sizeof(uint64_t);
  std::vector<uint64_t> block(kSweepBytes / sizeof(uint64_t), 1);  // written: no page faults later
  const uint64_t start = wall_ns();
  for (size_t sweep = 0; sweep < kSweeps; ++sweep) {
    uint64_t sum = 0;
    for (size_t i = 0; i < block.size(); i += kStride) sum += block[i];
    sink = sum;
  }
  return wall_ns() - start;
}

}  // namespace

Probes probe_machine() {
  const uint64_t arithmetic_ns = probe_arithmetic();
  return {arithmetic_ns, probe_memory()};
}

}  // namespace latlab
