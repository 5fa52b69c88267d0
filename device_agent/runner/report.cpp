#include "report.h"

#include <executorch/runtime/backend/interface.h>

#include <cctype>
#include <cstdio>
#include <iostream>
#include <string>

namespace latlab {
namespace {

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      json += c;
    } else {  // a broken program's bytes may turn up here: they need not be UTF-8
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      json += escape;
    }
  }
  return json + '"';
}

std::string list(const std::vector<uint64_t>& values) {
  std::string json;
  for (const uint64_t value : values) json += (json.empty() ? "" : ",") + std::to_string(value);
  return "[" + json + "]";
}

std::string object(const Probes& probes) {
  return R"({"arithmetic_ns":)" + std::to_string(probes.arithmetic_ns) + R"(,"memory_ns":)" +
      std::to_string(probes.memory_ns) + "}";
}

// "XnnpackBackend" is known as "xnnpack".
std::string backends() {
  std::string json;
  for (size_t i = 0; i < executorch::runtime::get_num_registered_backends(); ++i) {
    std::string name = executorch::runtime::get_backend_name(i).get();
    name = name.substr(0, name.rfind("Backend"));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    json += (json.empty() ? "" : ",") + quoted(name);
  }
  return "[" + json + "]";
}

}  // namespace

void print(const Report& report) {
  std::cout << R"({"wall_ns":)" << list(report.wall_ns)
            << R"(,"cpu_ns":)" << list(report.cpu_ns)
            << R"(,"involuntary_switches":)" << list(report.involuntary_switches)
            << R"(,"warmup_runs":)" << report.warmup_runs
            << R"(,"load_ns":)" << report.load_ns
            << R"(,"peak_rss_bytes":)" << report.peak_rss_bytes
            << R"(,"probes_before":)" << object(report.before)
            << R"(,"probes_after":)" << object(report.after)
            << R"(,"kernels":[)";
  const char* comma = "";
  for (const KernelTrace& kernel : report.kernels) {
    std::cout << comma << R"({"name":)" << quoted(kernel.name) << R"(,"ns":)"
              << list(kernel.durations_ns) << "}";
    comma = ",";
  }
  std::cout << "]}" << std::endl;
}

void print(const Failure& failure) {
  std::cout << R"({"failure":{"kind":)" << quoted(failure.kind) << R"(,"message":)"
            << quoted(failure.what()) << "}}" << std::endl;
}

void print_version() {
  std::cout << R"({"runtime_version":)" << quoted("executorch " LATLAB_EXECUTORCH_VERSION)
            << R"(,"compiler":)" << quoted(LATLAB_COMPILER) << R"(,"backends":)" << backends()
            << "}" << std::endl;
}

}  // namespace latlab
