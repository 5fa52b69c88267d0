#include "session.h"

#include "failure.h"

namespace latlab {

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

Session::Session(
    const ProgramBytes& bytes,
    const std::vector<InputSpec>& inputs,
    uint64_t seed,
    executorch::runtime::EventTracer* tracer)
    : loader_(bytes.data(), bytes.size()) {
  program_ = std::make_unique<Program>(unwrap(
      Program::load(&loader_, Program::Verification::InternalConsistency),
      "reading the program"));
  const char* name = "forward";
  if (program_->num_methods() == 1) name = unwrap(program_->get_method_name(0), "its method");
  const MethodMeta method = unwrap(program_->method_meta(name), "reading its method");

  // Inputs first: a wrong shape is to be told before a backend compiles anything.
  inputs_ = make_inputs(method, inputs, seed);
  for (size_t i = 0; i < method.num_memory_planned_buffers(); ++i) {
    const int64_t size = unwrap(method.memory_planned_buffer_size(i), "reading its memory plan");
    if (size < 0) throw Failure("not_a_program", "a buffer of its memory plan has a negative size");
    planned_bytes_ += static_cast<uint64_t>(size);
    planned_buffers_.emplace_back(size);
    planned_spans_.emplace_back(planned_buffers_.back().data(), planned_buffers_.back().size());
  }
  planned_memory_.emplace(executorch::runtime::Span<executorch::runtime::Span<uint8_t>>(
      planned_spans_.data(), planned_spans_.size()));
  memory_.emplace(&method_memory_, &*planned_memory_, &temporary_memory_);
  method_.emplace(unwrap(program_->load_method(name, &*memory_, tracer), "loading the program"));
  smaller_inputs_ = check_inputs(*method_, inputs_);
}

void Session::set_inputs() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    check(method_->set_input(*inputs_[i], i), "setting an input");
  }
}

void Session::execute() {
  const Error error = method_->execute();
  if (error == Error::Ok) return;
  const Failure failure = from_error(error, "running the program", "execution_error");
  if (smaller_inputs_.empty()) throw failure;
  throw Failure("bad_input", smaller_inputs_ + ", which it cannot take: " + failure.what());
}

}  // namespace latlab
