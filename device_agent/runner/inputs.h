// A program's inputs: reproducible standard normal values.
#pragma once

#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/executor/method_meta.h>

#include <vector>

#include "options.h"

namespace latlab {

// The same seed gives the same values on every platform. Throws Failure bad_input where
// `shapes` are not the method's or the method takes anything but float32 tensors.
std::vector<executorch::extension::TensorPtr> make_inputs(
    const executorch::runtime::MethodMeta& method,
    const std::vector<Shape>& shapes,
    uint64_t seed);

}  // namespace latlab
