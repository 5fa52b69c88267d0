#include "log.h"

#include <executorch/runtime/platform/platform.h>

#include <cstdio>

namespace latlab {
namespace {

std::string first_error;

void emit(
    et_timestamp_t,
    et_pal_log_level_t level,
    const char* file,
    const char*,
    size_t line,
    const char* message,
    size_t length) {
  std::fprintf(stderr, "%c %s:%zu] %.*s\n", level, file, line, static_cast<int>(length), message);
  if (level == kError && first_error.empty()) first_error.assign(message, length);
}

}  // namespace

void watch_log() {
  executorch::runtime::register_pal(executorch::runtime::PalImpl::create(emit, __FILE__));
}

const std::string& first_logged_error() { return first_error; }

}  // namespace latlab
