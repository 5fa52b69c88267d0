#include "options.h"

#include <charconv>
#include <stdexcept>

namespace latlab {
namespace {

template <typename Number>
Number parse_number(const std::string& name, std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < Number{0}) {
    throw std::invalid_argument(name + ": not a number: '" + std::string(text) + "'");
  }
  return value;
}

template <typename Number>
std::vector<Number> parse_list(const std::string& name, std::string_view text, char separator) {
  std::vector<Number> values;
  for (;;) {
    const size_t cut = text.find(separator);
    values.push_back(parse_number<Number>(name, text.substr(0, cut)));
    if (cut == std::string_view::npos) return values;
    text.remove_prefix(cut + 1);
  }
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--traced") {
      options.traced = true;
      continue;
    }
    if (++i == argc) throw std::invalid_argument(name + ": needs a value");
    const std::string value = argv[i];
    const auto number = [&] { return parse_number<uint64_t>(name, value); };
    if (name == "--program") options.program = value;
    else if (name == "--input") options.inputs.push_back(parse_list<int32_t>(name, value, 'x'));
    else if (name == "--cpus") options.cpus = parse_list<int>(name, value, ',');
    else if (name == "--threads") options.threads = parse_number<uint32_t>(name, value);
    else if (name == "--seed") options.seed = number();
    else if (name == "--warmup-runs") options.warmup_runs = number();
    else if (name == "--warmup-ns") options.warmup_ns = number();
    else if (name == "--timed-runs") options.timed_runs = number();
    else if (name == "--timed-ns") options.timed_ns = number();
    else if (name == "--max-timed-runs") options.max_timed_runs = number();
    else throw std::invalid_argument(name + ": no such option");
  }
  if (options.program.empty()) throw std::invalid_argument("--program: needed");
  if (options.threads == 0) throw std::invalid_argument("--threads: at least 1");
  if (options.max_timed_runs == 0) throw std::invalid_argument("--max-timed-runs: at least 1");
  return options;
}

}  // namespace latlab
