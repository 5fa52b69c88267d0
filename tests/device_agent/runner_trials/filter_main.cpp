// runner-filter MACHINE PID DESCRIPTOR: the filter, one instruction a line: code jt jf k.

#include <cstdio>
#include <cstdlib>

#include "filter.h"

int main(int, char** argv) {
  const latlab::OwnProcess own{std::atoi(argv[2]), std::atoi(argv[3])};
  for (const sock_filter& step : latlab::make_filter(argv[1], own)) {
    std::printf("%u %u %u %u\n", step.code, step.jt, step.jf, step.k);
  }
}
