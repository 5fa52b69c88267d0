// The values that inputs are filled with: the same for the same seed, on every platform.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "options.h"

namespace latlab {

// float32, float16, int64, int32, int8, uint8 and bool.
bool is_fillable(std::string_view dtype);

// Whether `dtype` is an integer's that holds the range, and the range is not empty.
bool is_range_of(std::string_view dtype, const Range& range);

// The bytes of a tensor of `input.shape`, in this machine's order, and `seed` moved on.
// Floats are standard normal, a bool is either. Integers are uniform in the range; without
// one in a range that is safe for an index: 0 and 1 for int64 and int32, and all values of
// int8 and uint8.
std::vector<uint8_t> make_values(const InputSpec& input, uint64_t& seed);

}  // namespace latlab
