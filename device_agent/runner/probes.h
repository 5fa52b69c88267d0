// Two fixed pieces of work, about 5 ms each on a server core: their times read the machine's
// effective speed where no clock can be read (virtual machines, unrooted phones).
#pragma once

#include <cstdint>

namespace latlab {

struct Probes {
  uint64_t arithmetic_ns;  // a chain of dependent multiply-adds
  uint64_t memory_ns;      // a sweep over 16 MiB by cache lines
};

Probes probe_machine();

}  // namespace latlab
