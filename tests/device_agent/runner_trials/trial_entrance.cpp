// The entrance of runner-trial. The environment's DOOR says which:
//
// open      confines nothing, and goes on with the visit
// free      confines nothing; tries what a program must not be able to do, and ends
// landlock  the same behind Landlock alone
// shut      the same behind all that the runner confines itself with
// abort     aborts behind it
//
// Trying prints one JSON object, {"attempt": errno, ...}, where 0 means that it succeeded.

#include "entrance.h"

#include <sched.h>
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

}  // namespace

void enter(uint32_t threads, int32_t status_descriptor) {
  const char* value = std::getenv("DOOR");
  const std::string door = value == nullptr ? "" : value;
  if (door == "open") {
    set_threads(threads);
    return;
  }
  if (door == "abort") {
    shut_door(threads, status_descriptor);
    std::abort();
  }
  try_everything(door, threads, status_descriptor);
}

}  // namespace latlab
