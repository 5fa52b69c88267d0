#include "filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace latlab {
namespace {

enum class Check { kEquals, kHasBits, kLacksBits };

// Of an argument's low 32 bits: descriptors and process ids have no more, and the bits that
// matter of mmap's flags lie there.
struct Rule {
  uint32_t argument;
  Check check;
  uint32_t value;
};

// One way in which a call is allowed: all of its rules hold. A call may have several.
struct Allowed {
  uint32_t x86_64;
  uint32_t aarch64;
  std::vector<Rule> rules;
};

// A call that a program's kernels do not need is left out, even if it looks harmless. Those
// that the timed loop makes come first.
std::vector<Allowed> allowed_calls(const OwnProcess& own) {
  const auto pid = static_cast<uint32_t>(own.pid);
  const auto status_descriptor = static_cast<uint32_t>(own.status_descriptor);
  const Rule no_code{2, Check::kLacksBits, PROT_EXEC};
  std::vector<Allowed> calls = {
      {202, 98, {}},   // futex
      {228, 113, {}},  // clock_gettime, for CPU time
      {98, 165, {}},   // getrusage
      {24, 124, {}},   // sched_yield
      {309, 168, {}},  // getcpu: which kind of core, on ARM
      // Memory. Its amount is limited by RLIMIT_AS, which no allowed call can raise.
      {9, 222, {{3, Check::kHasBits, MAP_ANONYMOUS}, no_code}},  // mmap
      {11, 215, {}},                                             // munmap
      {10, 226, {no_code}},                                      // mprotect
      {25, 216, {}},                                             // mremap
      {12, 214, {}},                                             // brk
      {28, 233, {{2, Check::kEquals, MADV_DONTNEED}}},           // madvise
      // The report and the log.
      {1, 64, {{0, Check::kEquals, 1}}},   // write
      {1, 64, {{0, Check::kEquals, 2}}},
      {20, 66, {{0, Check::kEquals, 1}}},  // writev
      {20, 66, {{0, Check::kEquals, 2}}},
      // An abort that is seen as one.
      {14, 135, {}},                           // rt_sigprocmask
      {39, 172, {}},                           // getpid
      {186, 178, {}},                          // gettid
      {234, 131, {{0, Check::kEquals, pid}}},  // tgkill
      {15, 139, {}},                           // rt_sigreturn
      {219, 128, {}},                          // restart_syscall, after a stop and a continue
      {60, 93, {}},                            // exit
      {231, 94, {}},                           // exit_group
      // What libraries ask for and can be told.
      {96, 169, {}},   // gettimeofday, where the kernel's page for it is not mapped
      {204, 123, {}},  // sched_getaffinity
      {318, 278, {}},  // getrandom
  };
  if (own.status_descriptor >= 0) {
    calls.push_back({17, 67, {{0, Check::kEquals, status_descriptor}}});  // pread64
  }
  return calls;
}

constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr uint32_t kMachine = offsetof(seccomp_data, arch);
constexpr uint32_t kX32Bit = 0x40000000;  // x86-64's other table of calls

// Both machines are little-endian: the low half comes first.
constexpr uint32_t argument_offset(uint32_t index) {
  return offsetof(seccomp_data, args) + index * sizeof(uint64_t);
}

sock_filter load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }

sock_filter give(uint32_t answer) { return BPF_STMT(BPF_RET | BPF_K, answer); }

sock_filter refuse() { return give(SECCOMP_RET_ERRNO | EPERM); }

// Goes on where the rule holds, and past `rest` instructions where it does not.
sock_filter jump_unless(const Rule& rule, uint8_t rest) {
  switch (rule.check) {
    case Check::kEquals:
      return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.value, 0, rest);
    case Check::kHasBits:
      return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rule.value, 0, rest);
    case Check::kLacksBits:
      return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rule.value, rest, 0);
  }
  throw std::logic_error("an unknown check");
}

}  // namespace

std::vector<sock_filter> make_filter(std::string_view machine, const OwnProcess& own) {
  const bool is_x86_64 = machine == "x86_64";
  if (!is_x86_64 && machine != "aarch64") {
    throw std::invalid_argument("no filter for " + std::string(machine));
  }
  std::vector<sock_filter> filter = {
      load(kMachine),
      BPF_JUMP(
          BPF_JMP | BPF_JEQ | BPF_K, is_x86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64, 1, 0),
      refuse(),
      load(kNumber),
  };
  if (is_x86_64) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1));
    filter.push_back(refuse());
  }
  for (const Allowed& call : allowed_calls(own)) {
    const uint32_t number = is_x86_64 ? call.x86_64 : call.aarch64;
    const size_t ends = call.rules.empty() ? 1 : 2 * call.rules.size() + 2;
    auto rest = static_cast<uint8_t>(ends);
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, rest));
    for (const Rule& rule : call.rules) {
      rest -= 2;
      filter.push_back(load(argument_offset(rule.argument)));
      filter.push_back(jump_unless(rule, rest - 1));
    }
    filter.push_back(give(SECCOMP_RET_ALLOW));
    if (!call.rules.empty()) filter.push_back(load(kNumber));  // an argument took its place
  }
  filter.push_back(refuse());
  return filter;
}

}  // namespace latlab
