// Per-kernel times of a program, from the inside of whole runs.
#pragma once

#include <executorch/runtime/core/event_tracer.h>

#include <optional>
#include <string>
#include <vector>

#include "fast_clock.h"

namespace latlab {

struct KernelTrace {
  std::string name;                    // as the backend names it
  int64_t instruction;                 // of the program's plan: a delegate call is one
  std::vector<uint64_t> durations_ns;  // one a recorded run
};

// Records every kernel of a delegate, and every operator outside one ("native_call_..."),
// by position in the run. What merely wraps those is left out: it would count twice.
class Tracer final : public executorch::runtime::EventTracer {
 public:
  explicit Tracer(size_t max_runs) : max_runs_(max_runs) {}

  // Between these two, events belong to one recorded run; outside them they are dropped.
  // end_run throws Failure trace_mismatch where the run's kernels are not the first one's.
  void begin_run();
  void end_run();

  const std::vector<KernelTrace>& kernels() const { return kernels_; }

 private:
  using Entry = executorch::runtime::EventTracerEntry;
  using ChainID = executorch::runtime::ChainID;
  using DebugHandle = executorch::runtime::DebugHandle;
  using DelegateId = executorch::runtime::DelegateDebugIntId;
  using Tensor = executorch::aten::Tensor;
  using Tensors = executorch::runtime::ArrayRef<Tensor>;
  using Logged = executorch::runtime::Result<bool>;

  Entry start_profiling(const char* name, ChainID, DebugHandle) override;
  void end_profiling(Entry entry) override;
  void log_profiling_delegate(
      const char* name, DelegateId, et_timestamp_t start, et_timestamp_t end, const void*, size_t)
      override;

  // The rest of the interface: nothing to record.
  void create_event_block(const char*) override {}
  Entry start_profiling_delegate(const char*, DelegateId) override { return {}; }
  void end_profiling_delegate(Entry, const void*, size_t) override {}
  void track_allocation(executorch::runtime::AllocatorID, size_t) override {}
  executorch::runtime::AllocatorID track_allocator(const char*) override { return 0; }
  Logged log_evalue(
      const executorch::runtime::EValue&, executorch::runtime::LoggedEValueType) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, DelegateId, const Tensor&) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, DelegateId, const Tensors) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, DelegateId, const int&) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, DelegateId, const bool&) override {
    return false;
  }
  Logged log_intermediate_output_delegate(const char*, DelegateId, const double&) override {
    return false;
  }
  void set_delegation_intermediate_output_filter(
      executorch::runtime::EventTracerFilterBase*) override {}

  void record(const char* name, uint64_t duration_ns);

  const size_t max_runs_;
  std::vector<KernelTrace> kernels_;
  const char* operator_name_ = nullptr;  // of the one running: operators do not nest
  size_t position_ = 0;                  // in the current run
  size_t runs_ = 0;                      // recorded to their end
  std::optional<FastClock> fast_clock_;  // during a recorded run
  bool mismatched_ = false;
};

}  // namespace latlab
