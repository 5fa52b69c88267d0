#include "tracer.h"

#include <executorch/runtime/platform/clock.h>

#include <string_view>

#include "failure.h"

namespace latlab {
namespace {

using executorch::runtime::ChainID;
using executorch::runtime::DebugHandle;
using executorch::runtime::DelegateDebugIntId;
using executorch::runtime::EventTracerEntry;

constexpr int64_t kWrapper = 0;
constexpr int64_t kOperator = 1;
constexpr std::string_view kOperatorPrefix = "native_call_";

}  // namespace

void Tracer::begin_run() {
  position_ = 0;
  recording_ = true;
}

void Tracer::end_run() {
  recording_ = false;
  if (mismatched_ || position_ != kernels_.size()) {
    throw Failure("trace_mismatch", "two runs of the program gave different kernels");
  }
  ++runs_;
}

void Tracer::record(const char* name, uint64_t duration_ns) {
  if (!recording_ || mismatched_) return;
  if (runs_ == 0) {  // the first run says what the others must be
    kernels_.push_back({name, {}});
    kernels_.back().durations_ns.reserve(max_runs_);
  }
  mismatched_ = position_ == kernels_.size() || kernels_[position_].name != name;
  if (!mismatched_) kernels_[position_++].durations_ns.push_back(duration_ns);
}

EventTracerEntry Tracer::start_profiling(const char* name, ChainID, DebugHandle) {
  EventTracerEntry entry{};
  const bool is_operator = std::string_view(name).substr(0, kOperatorPrefix.size()) == kOperatorPrefix;
  entry.event_id = is_operator ? kOperator : kWrapper;
  entry.start_time = executorch::runtime::pal_current_ticks();
  if (is_operator) operator_name_ = name;
  return entry;
}

void Tracer::end_profiling(EventTracerEntry entry) {
  if (entry.event_id != kOperator) return;
  const et_timestamp_t end = executorch::runtime::pal_current_ticks();
  record(operator_name_, executorch::runtime::ticks_to_ns(end - entry.start_time));
}

void Tracer::log_profiling_delegate(
    const char* name,
    DelegateDebugIntId,
    et_timestamp_t start,
    et_timestamp_t end,
    const void*,
    size_t) {
  record(name, executorch::runtime::ticks_to_ns(end - start));
}

}  // namespace latlab
