#include "inputs.h"

#include <algorithm>
#include <string>

#include "failure.h"
#include "values.h"

namespace latlab {
namespace {

using executorch::aten::ScalarType;
using executorch::extension::TensorPtr;
using executorch::runtime::MethodMeta;
using executorch::runtime::Tag;
using executorch::runtime::TensorInfo;

std::string dtype_name(ScalarType type) {
  switch (type) {
    case ScalarType::Float: return "float32";
    case ScalarType::Half: return "float16";
    case ScalarType::Long: return "int64";
    case ScalarType::Int: return "int32";
    case ScalarType::Char: return "int8";
    case ScalarType::Byte: return "uint8";
    case ScalarType::Bool: return "bool";
    case ScalarType::Short: return "int16";
    case ScalarType::Double: return "float64";
    case ScalarType::BFloat16: return "bfloat16";
    default: return "dtype " + std::to_string(static_cast<int>(type));
  }
}

std::string tag_name(Tag tag) {
  switch (tag) {
    case Tag::None: return "None";
    case Tag::String: return "a string";
    case Tag::Double: return "a float";
    case Tag::Int: return "an int";
    case Tag::Bool: return "a bool";
    default: return "a list";
  }
}

// "1x3x16x16 of float32".
std::string to_text(const Shape& shape, const std::string& dtype) {
  std::string text;
  for (const int32_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return (text.empty() ? "a scalar" : text) + " of " + dtype;
}

std::string name_of(size_t index) { return "input " + std::to_string(index) + " of the program"; }

// What a broken program says of the layout is not to be trusted.
bool is_permutation(executorch::runtime::Span<const uint8_t> order, size_t rank) {
  std::vector<uint8_t> sorted(order.begin(), order.end());
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != i) return false;
  }
  return sorted.size() == rank;
}

TensorInfo tensor_info(const MethodMeta& method, size_t index) {
  const std::string name = name_of(index);
  const auto tag = method.input_tag(index);
  if (!tag.ok()) throw from_error(tag.error(), "reading " + name, "not_a_program");
  if (*tag != Tag::Tensor) {
    throw Failure("bad_input", name + " is " + tag_name(*tag) + ": only tensors can be filled");
  }
  const auto info = method.input_tensor_meta(index);
  if (!info.ok()) throw from_error(info.error(), "reading " + name, "not_a_program");
  return *info;
}

// Every input of `spec`'s rank that is nowhere larger, and of its dtype, passes.
TensorPtr make_input(const TensorInfo& info, size_t index, const InputSpec& spec, uint64_t& seed) {
  const Shape shape(info.sizes().begin(), info.sizes().end());
  const std::string dtype = dtype_name(info.scalar_type());
  const std::string is = name_of(index) + " is " + to_text(shape, dtype);
  if (!is_fillable(dtype)) {
    throw Failure("bad_input", is + ", and no input of that dtype can be filled");
  }
  const bool fits = spec.shape.size() == shape.size() &&
      std::equal(spec.shape.begin(), spec.shape.end(), shape.begin(), std::less_equal<>());
  if (!fits || spec.dtype != dtype) {
    throw Failure("bad_input", is + ", not " + to_text(spec.shape, spec.dtype));
  }
  const auto order = info.dim_order();
  if (!is_permutation(order, shape.size())) {
    throw Failure("not_a_program", is + " in an order of dimensions that makes no sense");
  }
  return executorch::extension::make_tensor_ptr(
      spec.shape,
      make_values(spec, seed),
      {order.begin(), order.end()},
      {},
      info.scalar_type());
}

}  // namespace

std::vector<TensorPtr> make_inputs(
    const MethodMeta& method, const std::vector<InputSpec>& specs, uint64_t seed) {
  if (specs.size() != method.num_inputs()) {
    throw Failure(
        "bad_input",
        "the program takes " + std::to_string(method.num_inputs()) + " inputs, not " +
            std::to_string(specs.size()));
  }
  std::vector<TensorPtr> inputs;
  for (size_t i = 0; i < specs.size(); ++i) {
    inputs.push_back(make_input(tensor_info(method, i), i, specs[i], seed));
  }
  return inputs;
}

std::string check_inputs(
    executorch::runtime::Method& method, const std::vector<TensorPtr>& inputs) {
  std::string smaller;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorInfo info = tensor_info(method.method_meta(), i);
    const Shape expected(info.sizes().begin(), info.sizes().end());
    const Shape given(inputs[i]->sizes().begin(), inputs[i]->sizes().end());
    const std::string dtype = dtype_name(info.scalar_type());
    const std::string differs =
        name_of(i) + " is " + to_text(expected, dtype) + ", not " + to_text(given, dtype);
    const auto error = method.set_input(*inputs[i], i);
    if (given != expected) {
      if (error != executorch::runtime::Error::Ok) throw Failure("bad_input", differs);
      smaller += (smaller.empty() ? "" : "; ") + differs;
    } else if (error != executorch::runtime::Error::Ok) {
      throw from_error(error, "setting " + name_of(i), "not_a_program");
    }
  }
  return smaller;
}

}  // namespace latlab
