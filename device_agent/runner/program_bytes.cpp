#include "program_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace latlab {
namespace {

constexpr size_t kAlignment = 4096;

class File {
 public:
  explicit File(const std::string& path) : descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor >= 0) close(descriptor);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const int descriptor;
};

Failure unreadable(const std::string& path, const std::string& why) {
  return Failure("not_a_program", path + " cannot be read: " + why);
}

}  // namespace

void ProgramBytes::Free::operator()(uint8_t* block) const { std::free(block); }

ProgramBytes::ProgramBytes(const std::string& path) {
  const File file(path);
  struct stat status {};
  if (file.descriptor < 0 || fstat(file.descriptor, &status) != 0) {
    throw unreadable(path, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) throw unreadable(path, "it is no regular file");
  if (status.st_size == 0) throw unreadable(path, "it is empty");
  size_ = static_cast<size_t>(status.st_size);
  data_.reset(static_cast<uint8_t*>(
      std::aligned_alloc(kAlignment, (size_ + kAlignment - 1) / kAlignment * kAlignment)));
  for (size_t done = 0; done < size_;) {
    const ssize_t count = read(file.descriptor, data_.get() + done, size_ - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw unreadable(path, count < 0 ? std::strerror(errno) : "it has shrunk");
    done += static_cast<size_t>(count);
  }
}

}  // namespace latlab
