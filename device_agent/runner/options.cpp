#include "options.h"

#include <charconv>
#include <stdexcept>

#include "values.h"

namespace latlab {
namespace {

template <typename Number>
Number parse_number(const std::string& name, std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) {
    throw std::invalid_argument(name + ": not a number: '" + std::string(text) + "'");
  }
  return value;
}

template <typename Number>
Number parse_count(const std::string& name, std::string_view text) {
  const auto value = parse_number<Number>(name, text);
  if (value < Number{0}) {
    throw std::invalid_argument(name + ": negative: '" + std::string(text) + "'");
  }
  return value;
}

template <typename Number>
std::vector<Number> parse_list(const std::string& name, std::string_view text, char separator) {
  std::vector<Number> values;
  for (;;) {
    const size_t cut = text.find(separator);
    values.push_back(parse_count<Number>(name, text.substr(0, cut)));
    if (cut == std::string_view::npos) return values;
    text.remove_prefix(cut + 1);
  }
}

// What stands before `separator` in `text`, which keeps what comes after it.
std::string_view take(std::string_view& text, std::string_view separator) {
  const size_t cut = text.find(separator);
  const std::string_view taken = text.substr(0, cut);
  text.remove_prefix(cut == std::string_view::npos ? text.size() : cut + separator.size());
  return taken;
}

InputSpec parse_input(const std::string& name, std::string_view text) {
  InputSpec input;
  const std::string_view shape = take(text, ":");
  if (!shape.empty()) input.shape = parse_list<int32_t>(name, shape, 'x');
  const std::string_view dtype = take(text, ":");
  if (!dtype.empty()) input.dtype = dtype;
  if (!is_fillable(input.dtype)) {
    throw std::invalid_argument(name + ": no such dtype: '" + input.dtype + "'");
  }
  if (text.empty()) return input;
  const auto low = parse_number<int64_t>(name, take(text, ".."));
  const auto high = parse_number<int64_t>(name, text);
  if (!is_range_of(input.dtype, {low, high})) {
    throw std::invalid_argument(name + ": no range of " + input.dtype);
  }
  input.range = Range{low, high};
  return input;
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
    const auto number = [&] { return parse_count<uint64_t>(name, value); };
    if (name == "--program") options.program = value;
    else if (name == "--input") options.inputs.push_back(parse_input(name, value));
    else if (name == "--memory-bytes") options.memory_bytes = number();
    else if (name == "--cpus") options.cpus = parse_list<int>(name, value, ',');
    else if (name == "--threads") options.threads = parse_count<uint32_t>(name, value);
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
