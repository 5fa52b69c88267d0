#include "probes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>

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

// The kernel's own, past malloc: a large block that malloc gets back changes where it puts all
// later ones, the program's weights among them, and a network ran about 1 % slower for it.
class Block {
 public:
  Block() {
    void* memory = mmap(
        nullptr, kSweepBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    words_ = static_cast<uint64_t*>(memory);
    std::fill_n(words_, size(), 1);  // no page faults later
  }
  ~Block() { munmap(words_, kSweepBytes); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  size_t size() const { return kSweepBytes / sizeof(uint64_t); }
  uint64_t operator[](size_t index) const { return words_[index]; }

 private:
  uint64_t* words_;
};

uint64_t probe_memory() {
  constexpr size_t kStride = kCacheLineBytes / sizeof(uint64_t);
  const Block block;
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
