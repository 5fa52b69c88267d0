// The entrance of runner-trial. The environment's DOOR says which:
//
// open      confines nothing, and goes on with the visit
// free      confines nothing; tries what a program must not be able to do, and ends
// landlock  the same behind Landlock alone
// shut      the same behind all that the runner confines itself with
// abort     aborts behind it
// crowded   shuts it where the kernel has no room for another filter, and goes on
//
// Trying prints one JSON object, {"attempt": errno, ...}, where 0 means that it succeeded.

#include "entrance.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "attempts.h"
#include "confinement.h"
#include "threads.h"

namespace latlab {

void shut_door(uint32_t threads, int32_t status_descriptor);  // entrance.cpp's enter

namespace {

void print(const std::string& prefix, const std::vector<AttemptResult>& results, bool& first) {
  for (const AttemptResult& result : results) {
    std::cout << (first ? "{" : ",") << '"' << prefix << result.name << "\":" << result.error;
    first = false;
  }
}

[[noreturn]] void try_everything(const std::string& door, uint32_t threads, int32_t status) {
  const Prepared prepared = prepare();
  std::atomic<bool> is_started{false}, is_confined{false};
  std::vector<AttemptResult> elsewhere;
  std::thread thread([&] {  // started before the door shuts, as the pool's are
    is_started = true;
    while (!is_confined) sched_yield();
    elsewhere = attempt(prepared);
  });
  while (!is_started) sched_yield();
  if (door == "shut") {
    shut_door(threads, status);
  } else {
    set_threads(threads);
    if (door == "landlock") deny_files();
  }
  const std::vector<AttemptResult> here = attempt(prepared);
  is_confined = true;
  thread.join();
  bool first = true;
  print("", here, first);
  print("thread: ", elsewhere, first);
  std::cout << "}" << std::endl;
  _exit(0);
}

// As many that allow everything as the kernel takes, large ones first.
void fill_with_filters() {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (size_t size = BPF_MAXINSNS; size > 0; size /= 2) {
    std::vector<sock_filter> filter(size, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program{static_cast<unsigned short>(size), filter.data()};
    while (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) {
    }
  }
}

}  // namespace

void enter(uint32_t threads, int32_t status_descriptor) {
  const char* value = std::getenv("DOOR");
  const std::string door = value == nullptr ? "" : value;
  if (door == "open") {
    set_threads(threads);
    return;
  }
  if (door == "crowded") {
    fill_with_filters();
    shut_door(threads, status_descriptor);
    return;
  }
  if (door == "abort") {
    shut_door(threads, status_descriptor);
    std::abort();
  }
  try_everything(door, threads, status_descriptor);
}

}  // namespace latlab
