// One program, loaded and ready to run.
#pragma once

#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
#include "options.h"
#include "program_bytes.h"

namespace latlab {

class Session {
 public:
  // Loads the program's "forward", or its only method. `bytes` must outlive the session;
  // `tracer` may be null. Throws Failure.
  Session(
      const ProgramBytes& bytes,
      const std::vector<InputSpec>& inputs,
      uint64_t seed,
      executorch::runtime::EventTracer* tracer);

  // What the program's memory plan asks for.
  uint64_t planned_bytes() const { return planned_bytes_; }

  // Both throw Failure. set_inputs comes before every run: a memory plan may reuse the
  // inputs' place for other tensors.
  void set_inputs();
  void execute();

 private:
  executorch::extension::BufferDataLoader loader_;
  std::unique_ptr<executorch::runtime::Program> program_;
  executorch::extension::MallocMemoryAllocator method_memory_;
  executorch::extension::MallocMemoryAllocator temporary_memory_;
  uint64_t planned_bytes_ = 0;
  std::vector<std::vector<uint8_t>> planned_buffers_;
  std::vector<executorch::runtime::Span<uint8_t>> planned_spans_;
  std::optional<executorch::runtime::HierarchicalAllocator> planned_memory_;
  std::optional<executorch::runtime::MemoryManager> memory_;
  std::vector<executorch::extension::TensorPtr> inputs_;
  std::string smaller_inputs_;  // than the method's, in words; "" where none is
  std::optional<executorch::runtime::Method> method_;
};

}  // namespace latlab
