#include "memory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "failure.h"

namespace latlab {
namespace {

// Since Linux 4.0, where it is built with it.
bool forget_peak() {
  const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = write(file, "5", 1) == 1;
  close(file);
  return done;
}

}  // namespace

void limit_memory(uint64_t bytes) {
  rlimit limit{};
  bool done = getrlimit(RLIMIT_AS, &limit) == 0;
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, bytes);  // only root may raise it
  limit.rlim_cur = limit.rlim_max;
  done = done && setrlimit(RLIMIT_AS, &limit) == 0;
  if (!done) throw Failure("execution_error", std::string("limiting memory: ") + strerror(errno));
}

PeakMemory::PeakMemory() : descriptor_(open("/proc/self/status", O_RDONLY | O_CLOEXEC)) {}

PeakMemory::~PeakMemory() {
  if (descriptor_ >= 0) close(descriptor_);
}

void PeakMemory::forget() { before_ = forget_peak() ? 0 : read().value_or(0); }

std::optional<uint64_t> PeakMemory::bytes() const {
  const std::optional<uint64_t> peak = read();
  return peak > before_ ? peak : std::nullopt;
}

std::optional<uint64_t> PeakMemory::read() const {
  char buffer[8192];
  const ssize_t size = pread(descriptor_, buffer, sizeof buffer, 0);
  if (size <= 0) return std::nullopt;
  std::string_view status(buffer, static_cast<size_t>(size));
  constexpr std::string_view kName = "\nVmHWM:";
  const size_t name = status.find(kName);
  if (name == std::string_view::npos) return std::nullopt;
  status.remove_prefix(name + kName.size());
  status.remove_prefix(std::min(status.find_first_not_of(" \t"), status.size()));
  uint64_t kib = 0;
  const auto parsed = std::from_chars(status.data(), status.data() + status.size(), kib);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return kib << 10;
}

}  // namespace latlab
