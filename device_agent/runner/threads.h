// ExecuTorch's thread pool.
#pragma once

#include <cstdint>

namespace latlab {

// When it returns, so many threads run, the calling one among them: a thread that starts
// makes system calls that the filter does not know. Throws Failure.
void set_threads(uint32_t threads);

}  // namespace latlab
