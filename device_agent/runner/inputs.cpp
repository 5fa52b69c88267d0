#include "inputs.h"

#include <cmath>

#include "failure.h"

namespace latlab {
namespace {

using executorch::extension::TensorPtr;

// splitmix64 (Steele, Lea and Flood, 2014).
uint64_t next_random(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// In (0, 1].
double next_uniform(uint64_t& state) {
  return (static_cast<double>(next_random(state) >> 11) + 1.0) / 9007199254740992.0;
}

// Box and Muller, the cosine half.
float next_normal(uint64_t& state) {
  const double radius = std::sqrt(-2.0 * std::log(next_uniform(state)));
  return static_cast<float>(radius * std::cos(6.283185307179586 * next_uniform(state)));
}

std::string to_text(const Shape& shape) {
  std::string text;
  for (const int32_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "a scalar" : text;
}

}  // namespace

std::vector<TensorPtr> make_inputs(
    const executorch::runtime::MethodMeta& method,
    const std::vector<Shape>& shapes,
    uint64_t seed) {
  if (shapes.size() != method.num_inputs()) {
    throw Failure(
        "bad_input",
        "the program takes " + std::to_string(method.num_inputs()) + " inputs, not " +
            std::to_string(shapes.size()));
  }
  std::vector<TensorPtr> inputs;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const std::string name = "input " + std::to_string(i) + " of the program";
    const auto expected = method.input_tensor_meta(i);
    if (!expected.ok() || expected->scalar_type() != executorch::aten::ScalarType::Float) {
      throw Failure("bad_input", name + " is no float32 tensor");
    }
    const Shape shape(expected->sizes().begin(), expected->sizes().end());
    if (shape != shapes[i]) {
      throw Failure("bad_input", name + " is " + to_text(shape) + ", not " + to_text(shapes[i]));
    }
    std::vector<float> values(expected->nbytes() / sizeof(float));
    for (float& value : values) value = next_normal(seed);
    const auto order = expected->dim_order();
    inputs.push_back(executorch::extension::make_tensor_ptr(
        shape, std::move(values), {order.begin(), order.end()}));
  }
  return inputs;
}

}  // namespace latlab
