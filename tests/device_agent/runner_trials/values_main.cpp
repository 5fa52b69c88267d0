// runner-values SEED SPEC...: the values of these inputs, in hexadecimal, one a line.

#include <cstdio>
#include <cstdlib>

#include "options.h"
#include "values.h"

int main(int argc, char** argv) {
  std::vector<const char*> arguments = {argv[0], "--program", "none"};
  for (int i = 2; i < argc; ++i) arguments.insert(arguments.end(), {"--input", argv[i]});
  const latlab::Options options = latlab::parse_options(
      static_cast<int>(arguments.size()), const_cast<char**>(arguments.data()));
  uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  for (const latlab::InputSpec& input : options.inputs) {
    for (const uint8_t byte : latlab::make_values(input, seed)) std::printf("%02x", byte);
    std::puts("");
  }
}
