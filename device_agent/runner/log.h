// ExecuTorch's log: to standard error as ever, and its first error to whoever reports one.
#pragma once

#include <string>

namespace latlab {

// Before anything that logs.
void watch_log();

// The first error logged, which names the cause (an operator, an offset); "" where none was.
const std::string& first_logged_error();

}  // namespace latlab
