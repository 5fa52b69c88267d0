// A program's inputs: reproducible standard normal values.
#pragma once

#include <executorch/runtime/executor/method.h>

#include <vector>

#include "options.h"

namespace latlab {

class Inputs {
 public:
  // The same seed gives the same values on every platform. Throws Failure bad_input where
  // `shapes` are not the method's or the method takes anything but float32 tensors.
  Inputs(
      const executorch::runtime::MethodMeta& method,
      const std::vector<Shape>& shapes,
      uint64_t seed);

  // To be called before every run: a memory plan may reuse the inputs' place for other
  // tensors. Throws Failure.
  void set(executorch::runtime::Method& method);

 private:
  std::vector<executorch::aten::TensorImpl> tensors_;
  std::vector<executorch::runtime::EValue> values_;
  std::vector<std::vector<float>> data_;
  std::vector<Shape> sizes_;
  std::vector<std::vector<uint8_t>> dim_orders_;
};

}  // namespace latlab
