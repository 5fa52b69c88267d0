// How much memory the process may take, and how much it took.
#pragma once

#include <cstdint>
#include <optional>

namespace latlab {

// Limits the address space to `bytes`, for good. Throws Failure.
void limit_memory(uint64_t bytes);

// The most memory that the process held since `forget`.
//
// The kernel's VmHWM, and not getrusage's ru_maxrss, which an exec carries over from the
// process that started this one: the runner of an agent of 60 MB would report 60 MB. It is
// read from a descriptor that was opened before the door shut.
class PeakMemory {
 public:
  PeakMemory();
  ~PeakMemory();
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;

  // -1 without /proc.
  int32_t descriptor() const { return descriptor_; }

  void forget();

  // None where the kernel does not say: without /proc; or where it cannot forget, and the
  // process held more before than since.
  std::optional<uint64_t> bytes() const;

 private:
  std::optional<uint64_t> read() const;

  int32_t descriptor_;
  uint64_t before_ = 0;  // the peak that could not be forgotten
};

}  // namespace latlab
