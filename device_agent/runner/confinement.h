// What the kernel can hold this process back with.
//
// A program comes from anyone, and C++ code parses it: a defect of that code must give it
// nothing but this process's own computing. The agent lays limits on it as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace latlab {

// "seccomp" and "landlock", as far as this kernel has them. Under an emulator: neither.
std::vector<std::string> available_confinement();

// With Landlock, where the kernel has it: the calling thread, and those that it starts from
// now on, open no file and no TCP connection. Throws Failure where the kernel refuses.
void deny_files();

// With seccomp, where the kernel has it: every thread of the process makes no system calls
// but those of filter.h. Throws Failure where the kernel refuses.
void filter_calls(int32_t status_descriptor);

}  // namespace latlab
