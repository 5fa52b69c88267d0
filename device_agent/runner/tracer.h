// Per-kernel times of a program, from the inside of whole runs.
#pragma once

#include <executorch/runtime/core/event_tracer.h>

#include <string>
#include <vector>

namespace latlab {

struct KernelTrace {
  std::string name;                    // as the backend names it
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

  executorch::runtime::EventTracerEntry start_profiling(
      const char* name,
      executorch::runtime::ChainID chain_id,
      executorch::runtime::DebugHandle debug_handle) override;
  void end_profiling(executorch::runtime::EventTracerEntry entry) override;
  void log_profiling_delegate(
      const char* name,
      executorch::runtime::DelegateDebugIntId index,
      et_timestamp_t start,
      et_timestamp_t end,
      const void* metadata,
      size_t metadata_bytes) override;

  // The rest of the interface: nothing to record.
  void create_event_block(const char*) override {}
  executorch::runtime::EventTracerEntry start_profiling_delegate(
      const char*, executorch::runtime::DelegateDebugIntId) override {
    return {};
  }
  void end_profiling_delegate(
      executorch::runtime::EventTracerEntry, const void*, size_t) override {}
  void track_allocation(executorch::runtime::AllocatorID, size_t) override {}
  executorch::runtime::AllocatorID track_allocator(const char*) override { return 0; }
  executorch::runtime::Result<bool> log_evalue(
      const executorch::runtime::EValue&, executorch::runtime::LoggedEValueType) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId, const executorch::aten::Tensor&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*,
      executorch::runtime::DelegateDebugIntId,
      const executorch::runtime::ArrayRef<executorch::aten::Tensor>) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId, const int&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId, const bool&) override {
    return false;
  }
  executorch::runtime::Result<bool> log_intermediate_output_delegate(
      const char*, executorch::runtime::DelegateDebugIntId, const double&) override {
    return false;
  }
  void set_delegation_intermediate_output_filter(
      executorch::runtime::EventTracerFilterBase*) override {}

 private:
  void record(const char* name, uint64_t duration_ns);

  const size_t max_runs_;
  std::vector<KernelTrace> kernels_;
  const char* operator_name_ = nullptr;  // the one running: operators do not nest
  size_t position_ = 0;  // in the current run
  size_t runs_ = 0;      // recorded to their end
  bool recording_ = false;
  bool mismatched_ = false;
};

}  // namespace latlab
