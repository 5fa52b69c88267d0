// A program's file, in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace latlab {

class ProgramBytes {
 public:
  // Reads the whole file: no file is open once the program is parsed. It begins at a page, as
  // where it is mapped, so that its tensors lie as they do in an app. Throws Failure
  // not_a_program where it cannot be read; memory that does not suffice ends the visit as
  // out_of_memory (allocation.cpp).
  explicit ProgramBytes(const std::string& path);

  const uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(uint8_t* block) const;
  };

  std::unique_ptr<uint8_t, Free> data_;
  size_t size_;
};

}  // namespace latlab
