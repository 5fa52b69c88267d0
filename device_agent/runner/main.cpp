// Times one program, once: one fresh process for each visit, and nothing else in it.
//
// latlab-runner --program FILE --input 1x3x224x224 [--input 1x128:int64:0..30521 ...]
//     [--threads N] [--cpus 0,1] [--memory-bytes N] [--warmup-runs N] [--warmup-ns N]
//     [--timed-runs N] [--timed-ns N] [--max-timed-runs N] [--seed N] [--traced]
// latlab-runner --version
//
// Runs and durations are floors, whichever is later; max-timed-runs caps the warm-up and the
// timed stretch each. Prints one JSON object on standard output (report.h) and exits with 0,
// or {"failure":{"kind":...,"message":...}} and exits with 1. Exit code 2 is a wrong command
// line. ExecuTorch's log goes to standard error.
//
// A program comes from anyone. Its bytes are read first; then the process gives up all that
// it does not need for computing (entrance.h, filter.h), and only then are they parsed.

#include <executorch/runtime/platform/runtime.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <new>
#include <optional>

#include "clock.h"
#include "entrance.h"
#include "failure.h"
#include "log.h"
#include "memory.h"
#include "options.h"
#include "probes.h"
#include "program_bytes.h"
#include "report.h"
#include "session.h"
#include "tracer.h"

namespace latlab {
namespace {

void pin(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw Failure("execution_error", std::string("pinning: ") + std::strerror(errno));
  }
}

// At least `runs` of them and at least `duration_ns`, at most `max_runs`.
template <typename Run>
uint64_t repeat(uint64_t runs, uint64_t duration_ns, uint64_t max_runs, Run run) {
  const uint64_t start = wall_ns();
  uint64_t done = 0;
  while (done < max_runs && (done < runs || wall_ns() - start < duration_ns)) {
    run();
    ++done;
  }
  return done;
}

// Every sample is positive: a run that no clock can tell from none has no latency.
void check_times(const Report& report) {
  for (const uint64_t wall_ns : report.wall_ns) {
    if (wall_ns == 0) {
      throw Failure("execution_error", "a run is too short for this device's clock: 0 ns");
    }
  }
}

Report visit(const Options& options) {
  if (options.memory_bytes) limit_memory(*options.memory_bytes);
  pin(options.cpus);
  PeakMemory peak;
  Report report;
  report.before = probe_machine();

  const uint64_t read_start = wall_ns();
  const ProgramBytes bytes(options.program);
  const uint64_t read_ns = wall_ns() - read_start;
  peak.forget();
  enter(options.threads, peak.descriptor());

  std::optional<Tracer> tracer;
  if (options.traced) tracer.emplace(options.max_timed_runs);
  const uint64_t load_start = wall_ns();
  Session session(bytes, options.inputs, options.seed, tracer ? &*tracer : nullptr);
  report.load_ns = read_ns + wall_ns() - load_start;
  report.planned_bytes = session.planned_bytes();

  report.wall_ns.reserve(options.max_timed_runs);
  report.cpu_ns.reserve(options.max_timed_runs);
  report.involuntary_switches.reserve(options.max_timed_runs);
  report.warmup_runs =
      repeat(options.warmup_runs, options.warmup_ns, options.max_timed_runs, [&] {
        session.set_inputs();
        const uint64_t wall = wall_ns();
        session.execute();
        if (report.first_run_ns == 0) report.first_run_ns = wall_ns() - wall;
      });
  repeat(options.timed_runs, options.timed_ns, options.max_timed_runs, [&] {
    session.set_inputs();
    if (tracer) tracer->begin_run();
    const uint64_t switches = involuntary_switches(options.threads);
    const uint64_t cpu = cpu_ns(options.threads);
    const uint64_t wall = wall_ns();
    session.execute();
    report.wall_ns.push_back(wall_ns() - wall);
    report.cpu_ns.push_back(cpu_ns(options.threads) - cpu);
    report.involuntary_switches.push_back(involuntary_switches(options.threads) - switches);
    if (tracer) tracer->end_run();
  });
  if (report.warmup_runs == 0) report.first_run_ns = report.wall_ns.front();
  check_times(report);
  report.peak_rss_bytes = peak.bytes();
  report.after = probe_machine();
  if (tracer) report.kernels = tracer->kernels();
  return report;
}

int run(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed agent leaves no runner behind
  std::ios::sync_with_stdio(false);
  watch_log();
  executorch::runtime::runtime_init();
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    print_version();
    return 0;
  }
  try {
    print(visit(parse_options(argc, argv)));
    return 0;
  } catch (const std::invalid_argument& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  } catch (const Failure& failure) {
    print(failure);
  } catch (const std::bad_alloc&) {
    print(Failure("out_of_memory", "an allocation failed"));
  } catch (const std::exception& error) {
    print(Failure("execution_error", error.what()));
  }
  return 1;
}

}  // namespace
}  // namespace latlab

int main(int argc, char** argv) { return latlab::run(argc, argv); }
