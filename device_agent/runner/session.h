// One program, loaded and ready to run.
#pragma once

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
#include "options.h"

namespace latlab {

// Sets the size of ExecuTorch's thread pool. Before any Session.
void set_threads(uint32_t threads);

class Session {
 public:
  // Loads the program's "forward", or its only method. `tracer` may be null. Throws Failure.
  Session(const Options& options, executorch::runtime::EventTracer* tracer);

  // Both throw Failure. set_inputs comes before every run: a memory plan may reuse the
  // inputs' place for other tensors.
  void set_inputs();
  void execute();

 private:
  std::unique_ptr<executorch::extension::MmapDataLoader> loader_;
  std::unique_ptr<executorch::runtime::Program> program_;
  executorch::extension::MallocMemoryAllocator method_memory_;
  executorch::extension::MallocMemoryAllocator temporary_memory_;
  std::vector<std::vector<uint8_t>> planned_buffers_;
  std::vector<executorch::runtime::Span<uint8_t>> planned_spans_;
  std::optional<executorch::runtime::HierarchicalAllocator> planned_memory_;
  std::optional<executorch::runtime::MemoryManager> memory_;
  std::vector<executorch::extension::TensorPtr> inputs_;
  std::optional<executorch::runtime::Method> method_;
};

}  // namespace latlab
