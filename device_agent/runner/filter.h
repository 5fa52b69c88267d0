// The system calls that the runner may make once its door is shut, as a seccomp filter.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace latlab {

// What the runner needs of its own process afterwards.
struct OwnProcess {
  int32_t pid;                // only it may be sent a signal: abort does
  int32_t status_descriptor;  // /proc/self/status, read for the peak memory; -1 where there is none
};

// The filter of `machine`, named as `uname -m` does, which need not be this one. Everything
// that is not allowed fails with EPERM. Throws std::invalid_argument for other machines.
std::vector<sock_filter> make_filter(std::string_view machine, const OwnProcess& own);

}  // namespace latlab
