#include "confinement.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "failure.h"
#include "filter.h"

namespace latlab {
namespace {

#if defined(__x86_64__)
constexpr char kMachine[] = "x86_64";
#elif defined(__aarch64__)
constexpr char kMachine[] = "aarch64";
#else
#error "a filter is missing for this machine: filter.cpp"
#endif

// Landlock's own header may be older than the kernel, or missing. Its calls have the same
// numbers on every machine.
constexpr long kCreateRuleset = 444;
constexpr long kRestrictSelf = 446;
constexpr uint32_t kAskVersion = 1;

struct Ruleset {
  uint64_t files;
  uint64_t network;
  uint64_t scope;
};

// Since 4.17. Without it kernels before 5.16 slow a filtered process down: they take a filter
// for a wish to be guarded against speculative execution. This process has no secrets.
constexpr unsigned kAllowSpeculation = 1 << 2;

Failure refused(const char* what) {
  return Failure("execution_error", std::string(what) + ": " + std::strerror(errno));
}

// 0 without Landlock.
long landlock_version() {
  return std::max(0l, syscall(kCreateRuleset, nullptr, 0, kAskVersion));
}

// Whatever it knows of that can be denied.
Ruleset everything(long version) {
  Ruleset rules{(1 << 13) - 1, 0, 0};
  if (version >= 2) rules.files |= 1 << 13;  // to move files between folders
  if (version >= 3) rules.files |= 1 << 14;  // to truncate them
  if (version >= 4) rules.network = 3;       // TCP: to bind and to connect
  if (version >= 5) rules.files |= 1 << 15;  // ioctl of devices
  if (version >= 6) rules.scope = 3;         // abstract sockets and signals of other processes
  return rules;
}

// The kernel looks at the flags first, and then at a filter that is not there.
bool has_seccomp() {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, nullptr) != 0 &&
      errno == EFAULT;
}

void allow_no_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw refused("giving up new privileges");
}

}  // namespace

std::vector<std::string> available_confinement() {
  std::vector<std::string> names;
  if (has_seccomp()) names.emplace_back("seccomp");
  if (landlock_version() > 0) names.emplace_back("landlock");
  return names;
}

void deny_files() {
  const long version = landlock_version();
  if (version == 0) return;
  allow_no_privileges();
  const Ruleset rules = everything(version);
  const long descriptor = syscall(kCreateRuleset, &rules, sizeof rules, 0);
  if (descriptor < 0) throw refused("the kernel has Landlock and refuses its rules");
  const long result = syscall(kRestrictSelf, descriptor, 0);
  if (result != 0) throw refused("the kernel has Landlock and refuses to apply it");
  close(static_cast<int>(descriptor));
}

void filter_calls(int32_t status_descriptor) {
  if (!has_seccomp()) return;
  allow_no_privileges();
  std::vector<sock_filter> filter = make_filter(kMachine, {getpid(), status_descriptor});
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  const auto lay = [&](unsigned flags) {
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  };
  long result = lay(SECCOMP_FILTER_FLAG_TSYNC | kAllowSpeculation);
  if (result < 0 && errno == EINVAL) result = lay(SECCOMP_FILTER_FLAG_TSYNC);
  if (result < 0) throw refused("the kernel has seccomp and refuses the filter");
  if (result > 0) {  // the thread that did not take it
    throw Failure("execution_error", "a thread of the runner refuses the seccomp filter");
  }
}

}  // namespace latlab
