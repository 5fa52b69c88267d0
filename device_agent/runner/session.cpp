#include "session.h"

#include "failure.h"

// Exported by ExecuTorch's thread pool library, whose header the SDK does not ship.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace latlab {

using executorch::extension::MmapDataLoader;
using executorch::runtime::Error;
using executorch::runtime::MethodMeta;
using executorch::runtime::Program;
using executorch::runtime::Result;

namespace {

template <typename Value>
Value unwrap(Result<Value> result, const char* doing) {
  if (!result.ok()) throw from_error(result.error(), doing, "not_a_program");
  return std::move(result.get());
}

void check(Error error, const char* doing) {
  if (error != Error::Ok) throw from_error(error, doing, "execution_error");
}

}  // namespace

void set_threads(uint32_t threads) {
  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (pool == nullptr || !pool->_unsafe_reset_threadpool(threads)) {
    throw Failure("execution_error", "ExecuTorch's thread pool cannot be resized");
  }
}

Session::Session(const Options& options, executorch::runtime::EventTracer* tracer) {
  auto loader =
      MmapDataLoader::from(options.program.c_str(), MmapDataLoader::MlockConfig::NoMlock);
  if (!loader.ok()) throw Failure("not_a_program", options.program + " cannot be opened");
  loader_ = std::make_unique<MmapDataLoader>(std::move(loader.get()));
  program_ = std::make_unique<Program>(unwrap(
      Program::load(loader_.get(), Program::Verification::InternalConsistency),
      "reading the program"));
  const char* name = "forward";
  if (program_->num_methods() == 1) name = unwrap(program_->get_method_name(0), "its method");
  const MethodMeta method = unwrap(program_->method_meta(name), "reading its method");

  // Inputs first: a wrong shape is to be told before a backend compiles anything.
  inputs_ = make_inputs(method, options.inputs, options.seed);
  for (size_t i = 0; i < method.num_memory_planned_buffers(); ++i) {
    const int64_t bytes = unwrap(method.memory_planned_buffer_size(i), "reading its memory plan");
    planned_buffers_.emplace_back(bytes);
    planned_spans_.emplace_back(planned_buffers_.back().data(), planned_buffers_.back().size());
  }
  planned_memory_.emplace(executorch::runtime::Span<executorch::runtime::Span<uint8_t>>(
      planned_spans_.data(), planned_spans_.size()));
  memory_.emplace(&method_memory_, &*planned_memory_, &temporary_memory_);
  method_.emplace(unwrap(program_->load_method(name, &*memory_, tracer), "loading the program"));
}

void Session::set_inputs() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    check(method_->set_input(*inputs_[i], i), "setting an input");
  }
}

void Session::execute() { check(method_->execute(), "running the program"); }

}  // namespace latlab
