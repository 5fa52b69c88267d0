#include "inputs.h"

#include <cmath>

#include "failure.h"

namespace latlab {
namespace {

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using executorch::runtime::Error;

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

template <typename Sizes>
std::string to_text(const Sizes& sizes) {
  std::string text;
  for (const int32_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "a scalar" : text;
}

}  // namespace

Inputs::Inputs(
    const executorch::runtime::MethodMeta& method,
    const std::vector<Shape>& shapes,
    uint64_t seed) {
  if (shapes.size() != method.num_inputs()) {
    throw Failure(
        "bad_input",
        "the program takes " + std::to_string(method.num_inputs()) + " inputs, not " +
            std::to_string(shapes.size()));
  }
  tensors_.reserve(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    const std::string name = "input " + std::to_string(i);
    const auto expected = method.input_tensor_meta(i);
    if (!expected.ok() || expected->scalar_type() != ScalarType::Float) {
      throw Failure("bad_input", name + " of the program is no float32 tensor");
    }
    const auto sizes = expected->sizes();
    if (Shape(sizes.begin(), sizes.end()) != shapes[i]) {
      throw Failure(
          "bad_input",
          name + " of the program is " + to_text(sizes) + ", not " + to_text(shapes[i]));
    }
    const auto order = expected->dim_order();
    sizes_.emplace_back(shapes[i]);
    dim_orders_.emplace_back(order.begin(), order.end());
    data_.emplace_back(expected->nbytes() / sizeof(float));
    for (float& value : data_.back()) value = next_normal(seed);
    tensors_.emplace_back(
        ScalarType::Float, sizes_.back().size(), sizes_.back().data(), data_.back().data(),
        dim_orders_.back().data());
    values_.emplace_back(Tensor(&tensors_.back()));
  }
}

void Inputs::set(executorch::runtime::Method& method) {
  for (size_t i = 0; i < values_.size(); ++i) {
    const Error error = method.set_input(values_[i], i);
    if (error != Error::Ok) throw from_error(error, "setting an input", "bad_input");
  }
}

}  // namespace latlab
