#include "values.h"

#include <executorch/runtime/core/portable_type/half.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace latlab {
namespace {

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

// The bias of the remainder is far below what a latency could show.
int64_t next_integer(uint64_t& state, const Range& range) {
  const uint64_t low = static_cast<uint64_t>(range.low);
  const uint64_t span = static_cast<uint64_t>(range.high) - low + 1;  // 0: all 2^64 values
  const uint64_t random = next_random(state);
  return static_cast<int64_t>(low + (span == 0 ? random : random % span));
}

template <typename Value, typename Next>
std::vector<uint8_t> fill(size_t count, Next next) {
  std::vector<uint8_t> bytes(count * sizeof(Value));
  for (size_t i = 0; i < count; ++i) {
    const auto value = static_cast<Value>(next());
    std::memcpy(bytes.data() + i * sizeof(Value), &value, sizeof(Value));
  }
  return bytes;
}

template <typename Integer>
constexpr Range all_of() {
  return {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()};
}

struct IntegerType {
  std::string_view name;
  Range values;
  Range unless_named;
};

constexpr Range kSafeIndices{0, 1};

constexpr IntegerType kIntegers[] = {
    {"int64", all_of<int64_t>(), kSafeIndices},
    {"int32", all_of<int32_t>(), kSafeIndices},
    {"int8", all_of<int8_t>(), all_of<int8_t>()},
    {"uint8", all_of<uint8_t>(), all_of<uint8_t>()},
};

const IntegerType* find_integer(std::string_view dtype) {
  for (const IntegerType& type : kIntegers) {
    if (type.name == dtype) return &type;
  }
  return nullptr;
}

}  // namespace

bool is_fillable(std::string_view dtype) {
  return dtype == "float32" || dtype == "float16" || dtype == "bool" ||
      find_integer(dtype) != nullptr;
}

bool is_range_of(std::string_view dtype, const Range& range) {
  const IntegerType* type = find_integer(dtype);
  return type != nullptr && type->values.low <= range.low && range.low <= range.high &&
      range.high <= type->values.high;
}

std::vector<uint8_t> make_values(const InputSpec& input, uint64_t& seed) {
  size_t count = 1;
  for (const int32_t size : input.shape) count *= static_cast<size_t>(size);
  const auto normal = [&] { return next_normal(seed); };
  if (input.dtype == "float32") return fill<float>(count, normal);
  if (input.dtype == "float16") return fill<executorch::runtime::etensor::Half>(count, normal);
  if (input.dtype == "bool") return fill<uint8_t>(count, [&] { return next_random(seed) >> 63; });
  const IntegerType* type = find_integer(input.dtype);
  if (type == nullptr) throw std::invalid_argument("no such dtype: " + input.dtype);
  const Range range = input.range.value_or(type->unless_named);
  const auto integer = [&] { return next_integer(seed, range); };
  if (type->name == "int64") return fill<int64_t>(count, integer);
  if (type->name == "int32") return fill<int32_t>(count, integer);
  return fill<uint8_t>(count, integer);  // int8's bit patterns are the same
}

}  // namespace latlab
