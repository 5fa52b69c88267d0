// A program's inputs, made to what the request says of them.
#pragma once

#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/method_meta.h>

#include <string>
#include <vector>

#include "options.h"

namespace latlab {

// The same seed gives the same values on every platform. Throws Failure bad_input, naming the
// input, where the request's shapes or dtypes are not the method's, or where the method takes
// what cannot be filled. A smaller shape passes: the method may take it (check_inputs).
std::vector<executorch::extension::TensorPtr> make_inputs(
    const executorch::runtime::MethodMeta& method,
    const std::vector<InputSpec>& specs,
    uint64_t seed);

// Throws Failure bad_input where the loaded method refuses an input. A method of dynamic
// shapes takes those up to its largest; only it knows whether it is one. Returns what is to be
// said if it does not run with them: "" where all are of the method's own shapes.
std::string check_inputs(
    executorch::runtime::Method& method,
    const std::vector<executorch::extension::TensorPtr>& inputs);

}  // namespace latlab
