"""measure.first_value_s, measure.first_covers: the provisional value of a measurement.

python -m tests.bench.bench_first_value

MnasNet-A1 on this machine's lab, which is warm: its program is in the cache, and a few networks
have been measured before.

measure.first_value_s   from starting `latlab measure` to its first value, the median of some runs,
                        each of which is then interrupted as by Ctrl-C
measure.first_covers    the share of trials whose first 90 % interval holds the final value. A trial
                        is one whole measurement without traced visits, which do not count for its
                        latency. Some trials run at a time and take turns, visit by visit: their
                        pauses would leave the device idle.

It takes about a quarter of an hour on a machine that must be left alone. QUICK=1 does a few runs
and trials.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from latlab.domain.program import ProgramFile
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench.figures import at_least, at_most, quick, report
from tests.bench.real_lab import RealLab, real_lab

NETWORK = "mnasnet-a1"
RUNS, TRIALS = quick(7, 2), quick(40, 4)
AT_A_TIME = 4
EARLIER = 5  # networks, from which the usual spread of the target's visits is known
LIMIT_S = 120.0


@dataclass(frozen=True)
class Trial:
    """The first and the final latency of one measurement."""

    first: LatencyEstimate
    final: LatencyEstimate

    @property
    def holds(self) -> bool:
        return self.first.lower_ns <= self.final.latency_ns <= self.first.upper_ns

    @property
    def half_width(self) -> float:
        return (self.first.upper_ns - self.first.lower_ns) / (2 * self.first.latency_ns)


def main() -> None:
    # Where this runs in the background, SIGINT is ignored, and commands would ignore it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with real_lab() as opened:
        opened.measured(list(map(export_spec, random_networks(mnasnet_space(), EARLIER))))
        [file] = opened.pool.export_all([export_spec(ZOO[NETWORK])])
        assert isinstance(file, ProgramFile)
        first_value(opened, file)
        covers(opened, file)


def first_value(opened: RealLab, file: ProgramFile) -> None:
    forget_job(opened, file)  # of an earlier run that was interrupted
    seconds = []
    for _ in range(RUNS):
        seconds.append(seconds_to_first_value(opened.target.id))
        assert forget_job(opened, file), "the lab has not kept the job"
    report(
        "measure.first_value_s",
        round(statistics.median(seconds), 2),
        "s",
        at_most(3),
        each=[round(each, 2) for each in seconds],
        command=f"latlab measure --fresh {NETWORK}",
    )


def forget_job(opened: RealLab, file: ProgramFile) -> bool:
    """Cancel the paused job, which the next run would go on with. Returns whether there was one."""
    sha256 = file.program.sha256
    return bool(opened.client.cancel_jobs([], target=opened.target.id, program_sha256=sha256))


def seconds_to_first_value(target_id: str) -> float:
    """Start the command, and interrupt it when it has printed its first value."""
    code = "from search.cli import app; app()"
    command = [sys.executable, "-c", code, "measure", "--fresh", "--target", target_id, NETWORK]
    start_s = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        taken_s = time.monotonic() - start_s
        assert "so far" in line, line
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
        assert run.wait(LIMIT_S) == 130, rest
    return taken_s


def covers(opened: RealLab, file: ProgramFile) -> None:
    def trial(number: int) -> Trial | None:
        spec = BenchmarkSpec(traced_visits=0)
        # Requests with other seeds are other jobs; the values of its inputs change no latency.
        spec = replace(spec, visit=replace(spec.visit, seed=number))
        return measured(opened, file, spec)

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        trials = [each for each in threads.map(trial, range(TRIALS)) if each is not None]
    widths = [100 * each.half_width for each in trials]
    off = [each.final.latency_ns / each.first.latency_ns - 1 for each in trials]
    report(
        "measure.first_covers",
        round(statistics.fmean(each.holds for each in trials), 3),
        "share",
        at_least(0.85),
        trials=len(trials),
        failed=TRIALS - len(trials),
        at_a_time=AT_A_TIME,
        network=NETWORK,
        median_half_width_pct=round(statistics.median(widths), 2),
        final_from_first_pct=[round(100 * each, 1) for each in sorted(off)],
    )


def measured(opened: RealLab, file: ProgramFile, spec: BenchmarkSpec) -> Trial | None:
    """Return a trial; None if the measurement failed."""
    seen: list[LatencyEstimate] = []
    [outcome] = opened.client.measure(
        opened.target.id,
        [file],
        spec,
        fresh=True,
        on_estimate=lambda sha256, estimate: seen.append(estimate),
    )
    if isinstance(outcome, Failure):
        print(f"a trial failed: {outcome.message}", file=sys.stderr)
        return None
    return Trial(seen[0], outcome.estimate)


if __name__ == "__main__":
    main()
