#include "tracer.h"

#include <executorch/runtime/platform/clock.h>

#include <string_view>

#include "clock.h"
#include "failure.h"

namespace latlab {
namespace {

using executorch::runtime::EventTracerEntry;

// The event ids of our own entries.
constexpr int64_t kWrapper = 0;
constexpr int64_t kOperator = 1;

bool is_operator(std::string_view name) {
  constexpr std::string_view kPrefix = "native_call_";
  return name.substr(0, kPrefix.size()) == kPrefix;
}

}  // namespace

void Tracer::begin_run() {
  position_ = 0;
  fast_clock_.emplace();
}

void Tracer::end_run() {
  fast_clock_.reset();
  if (mismatched_ || position_ != kernels_.size()) {
    throw Failure("trace_mismatch", "two runs of the program gave different kernels");
  }
  ++runs_;
}

EventTracerEntry Tracer::start_profiling(const char* name, ChainID, DebugHandle) {
  EventTracerEntry entry{};
  entry.event_id = is_operator(name) ? kOperator : kWrapper;
  if (entry.event_id == kOperator) operator_name_ = name;
  entry.start_time = wall_ns();
  return entry;
}

void Tracer::end_profiling(EventTracerEntry entry) {
  if (entry.event_id != kOperator) return;
  record(operator_name_, wall_ns() - entry.start_time);
}

void Tracer::log_profiling_delegate(
    const char* name, DelegateId, et_timestamp_t start, et_timestamp_t end, const void*, size_t) {
  if (!fast_clock_) return;
  record(name, executorch::runtime::ticks_to_ns(end - start) / fast_clock_->speed());
}

void Tracer::record(const char* name, uint64_t duration_ns) {
  if (!fast_clock_ || mismatched_) return;
  if (runs_ == 0) {  // the first run says what the others must be
    kernels_.push_back({name, static_cast<int64_t>(current_debug_handle()), {}});
    kernels_.back().durations_ns.reserve(max_runs_);
  }
  mismatched_ = position_ == kernels_.size() || kernels_[position_].name != name;
  if (mismatched_) return;
  kernels_[position_++].durations_ns.push_back(duration_ns);
}

}  // namespace latlab
