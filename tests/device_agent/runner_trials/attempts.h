// What a program that has taken the runner over might try.
#pragma once

#include <string>
#include <vector>

namespace latlab {

struct AttemptResult {
  std::string name;
  int error;  // 0: it succeeded
};

// What is there already when the door shuts: it must be of no use either.
struct Prepared {
  int file;  // readable and writable
};

Prepared prepare();

// Every attempt once, harmlessly. A process that is not confined succeeds in all of them.
std::vector<AttemptResult> attempt(const Prepared& prepared);

}  // namespace latlab
