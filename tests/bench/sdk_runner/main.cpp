// What anyone would write with ExecuTorch's SDK to time a program on one thread:
// sdk-runner PROGRAM INPUT SHAPE WARMUP_NS TIMED_NS, where INPUT is a file of floats and SHAPE
// is 1x3x224x224. Prints each timed run's nanoseconds as a JSON list.
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace executorch::extension::threadpool {  // the SDK ships no header of it
struct ThreadPool {
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

int main(int, char** argv) {
  executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(1);
  std::ifstream file(argv[2], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<int32_t> shape;
  std::istringstream sizes(argv[3]);
  for (std::string size; std::getline(sizes, size, 'x');) shape.push_back(std::stoi(size));
  auto input = executorch::extension::from_blob(const_cast<char*>(bytes.data()), shape);
  executorch::extension::Module module(argv[1]);
  if (module.load_forward() != executorch::runtime::Error::Ok) return 1;
  std::vector<int64_t> samples_ns;
  const int64_t warm_ns = now_ns() + std::stoll(argv[4]);
  for (int64_t end_ns = 0, start_ns = now_ns(); start_ns < warm_ns + std::stoll(argv[5]);
       start_ns = now_ns()) {
    if (module.set_input(*input, 0) != executorch::runtime::Error::Ok) return 1;
    start_ns = now_ns();
    if (!module.forward().ok()) return 1;
    end_ns = now_ns();
    if (start_ns >= warm_ns) samples_ns.push_back(end_ns - start_ns);
  }
  const char* before = "[";
  for (const int64_t ns : samples_ns) std::printf("%s%lld", before, (long long)ns), before = ",";
  std::puts("]");
}
