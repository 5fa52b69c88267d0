// Between what the runner knows and what it was given: the last step before it reads the
// program. In a file of its own, so that a test's build can put another in its place.
#pragma once

#include <cstdint>

namespace latlab {

// Makes ExecuTorch's thread pool of `threads`, and then confines the process as far as the
// kernel can. `status_descriptor` stays readable. Throws Failure.
void enter(uint32_t threads, int32_t status_descriptor);

}  // namespace latlab
