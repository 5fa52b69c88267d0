#include "report.h"

#include <executorch/runtime/backend/interface.h>

#include <cctype>
#include <cstdio>
#include <iostream>
#include <string>

#include "confinement.h"

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

std::string list(const std::vector<std::string>& texts) {
  std::string json;
  for (const std::string& text : texts) json += (json.empty() ? "" : ",") + quoted(text);
  return "[" + json + "]";
}

// "XnnpackBackend" is known as "xnnpack".
std::string backends() {
  std::vector<std::string> names;
  for (size_t i = 0; i < executorch::runtime::get_num_registered_backends(); ++i) {
    std::string name = executorch::runtime::get_backend_name(i).get();
    name = name.substr(0, name.rfind("Backend"));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    names.push_back(std::move(name));
  }
  return list(names);
}

}  // namespace

void print(const Report& report) {
  std::cout << R"({"wall_ns":)" << list(report.wall_ns)
            << R"(,"cpu_ns":)" << list(report.cpu_ns)
            << R"(,"involuntary_switches":)" << list(report.involuntary_switches)
            << R"(,"warmup_runs":)" << report.warmup_runs
            << R"(,"load_ns":)" << report.load_ns
            << R"(,"first_run_ns":)" << report.first_run_ns
            << R"(,"planned_bytes":)" << report.planned_bytes
            << R"(,"peak_rss_bytes":)"
            << (report.peak_rss_bytes ? std::to_string(*report.peak_rss_bytes) : "null")
            << R"(,"probes_before":)" << object(report.before)
            << R"(,"probes_after":)" << object(report.after)
            << R"(,"kernels":[)";
  const char* comma = "";
  for (const KernelTrace& kernel : report.kernels) {
    std::cout << comma << R"({"name":)" << quoted(kernel.name) << R"(,"instruction":)"
              << kernel.instruction << R"(,"ns":)" << list(kernel.durations_ns) << "}";
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
            << R"(,"confinement":)" << list(available_confinement()) << "}" << std::endl;
}

}  // namespace latlab
