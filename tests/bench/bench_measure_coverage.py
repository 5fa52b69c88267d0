"""measure.coverage_*: how often the printed 90 % interval of a measurement holds the truth.

Networks are recorded in turn, visit by visit, with the bare runner on this machine's last core. The
quiet latency of a network's whole recording is its truth. A measurement is a window of consecutive
visits of one network, because single visits drawn at random would lose the machine's moods. Every
window of a recording counts.

measure.coverage_n6, _n8, _n11, _n20   windows of so many visits
measure.coverage_stopped               windows that end when their visits agree, as measurements do
measure.coverage_quick                 windows that end when their interval is ±5 %
measure.coverage_first_n1, _first_n2   windows of one and two visits, whose intervals rest on the
                                       spread of the other networks' visits just before

python -m tests.bench.bench_measure_coverage records for 25 minutes, on a machine that must be left
alone. The recording is kept in build/bench under the name of its seed. An interrupted one is
continued, and a whole one is only evaluated again: remove the file to record anew. QUICK=1 records
three networks for a minute, which shows that the benchmark works and no more, into a file of its
own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from host.measuring.interval import FIRST_MARGINS, usual_spread
from host.measuring.statistics import summarize, visit_latency_ns
from host.measuring.stopping import progress
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure
from latlab.domain.measurement import Conditions, Summary, Visit
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench.bench_agent import RUNNER
from tests.bench.bench_export import direct
from tests.bench.bench_runner import output_of
from tests.bench.figures import IS_QUICK, Goal, at_least, quick, report, within
from tests.bench.finished import REPOSITORY

T = TypeVar("T")

SEED = 20_292  # the margins were chosen with a recording of other networks, of seed 20,291
NETWORKS, VISITS = quick(10, 3), quick(200, 24)
SIZES = (6, 8, 11, 20)
# Of each other network, so many windows of so many visits each say what spread is usual.
EARLIER, EARLIER_VISITS = (1, 6) if IS_QUICK else (3, 8)
GOAL = within(0.905, 0.025)
SPEC = replace(BenchmarkSpec(), traced_visits=0)
SPACING_S = 0.0 if IS_QUICK else SPEC.spacing_ns / 1e9
RECORDING = (
    REPOSITORY / "build/bench" / f"measure_coverage_{SEED}{'_quick' if IS_QUICK else ''}.jsonl"
)
SHAPE = "x".join(map(str, DEFAULT_DEPLOYMENT.input_shape))
SERIES = ("wall_ns", "cpu_ns", "involuntary_switches")
UNKNOWN = Conditions(unix_ns=0)  # the statistic does not look at conditions


@dataclass(frozen=True)
class Window:
    """The summary of a window of visits, and the truth of its network."""

    summary: Summary
    truth_ns: float

    @property
    def holds(self) -> bool:
        return self.summary.lower_ns <= self.truth_ns <= self.summary.upper_ns

    @property
    def half_width(self) -> float:
        return (self.summary.upper_ns - self.summary.lower_ns) / (2 * self.summary.latency_ns)

    @property
    def needed(self) -> float:
        """By which factor the interval's logarithmic margins must grow to just hold the truth."""
        error = np.log(self.truth_ns / self.summary.latency_ns)
        bound_ns = self.summary.upper_ns if error > 0 else self.summary.lower_ns
        return float(error / np.log(bound_ns / self.summary.latency_ns))


def main() -> None:
    record()
    series = []
    for name, visits in read().items():
        if any(map(is_clean, visits[:VISITS])):
            series.append(visits[:VISITS])
        else:
            print(f"left out: no visit of {name} is clean", file=sys.stderr)
    conditions = {
        "networks": len(series),
        "visits_of_each": VISITS,
        "clean_share": round(fmean(map(is_clean, flat(series))), 3),
        "autocorrelation": [round(autocorrelation(visits), 2) for visits in series],
        "seed": SEED,
    }
    for size in SIZES:
        windows = [list(of_size(visits, size)) for visits in series]
        show(f"measure.coverage_n{size}", windows, conditions)
    show("measure.coverage_stopped", [list(stopped(visits)) for visits in series], conditions)
    quick_ones = [list(stopped(visits, BenchmarkSpec.quick())) for visits in series]
    show("measure.coverage_quick", quick_ones, conditions, at_least(0.85))
    earlier = [
        [summarize(visits[begin : begin + EARLIER_VISITS]) for begin in range(len(visits))]
        for visits in series
    ]
    for size in FIRST_MARGINS:
        first_ones = [list(first(series, earlier, number, size)) for number in range(len(series))]
        show(f"measure.coverage_first_n{size}", first_ones, conditions, at_least(0.85))


def networks(count: int = NETWORKS, seed: int = SEED) -> dict[str, Architecture]:
    """Return the networks by name: two of the zoo, and random ones of the space."""
    space, rng = mnasnet_space(), np.random.default_rng(seed)
    found = {name: ZOO[name] for name in ("mnasnet-a1", "mobilenet-v2")}
    while len(found) < count:
        found[f"random {len(found)}"] = space.resolve(space.sample(rng))
    return found


def record() -> None:
    """Record visits of all networks in turn until each has as many as there shall be."""
    done = min((len(visits) for visits in read().values()), default=0)
    if done >= VISITS:
        return
    RECORDING.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, RECORDING.open("a") as file:
        programs = {}
        for name, network in networks().items():
            programs[name] = Path(folder) / f"{network.id}.pte"
            programs[name].write_bytes(direct(network))
        for round_ in range(done, VISITS):
            print(f"\rround {round_ + 1} of {VISITS}", end="", file=sys.stderr)
            start_s = time.monotonic()
            for name, program in programs.items():
                series = json.loads(output_of(command(program)))
                kept = {key: series[key] for key in SERIES}
                print(json.dumps({"network": name, "round": round_, **kept}), file=file, flush=True)
            time.sleep(max(0.0, start_s + SPACING_S - time.monotonic()))
        print(file=sys.stderr)


def command(program: Path) -> list[str]:
    visit = SPEC.visit
    options = {
        "--program": program,
        "--input": SHAPE,
        "--cpus": max(os.sched_getaffinity(0)),
        "--seed": visit.seed,
        "--warmup-runs": visit.warmup_runs,
        "--warmup-ns": visit.warmup_ns,
        "--timed-runs": visit.timed_runs,
        "--timed-ns": visit.timed_ns,
        "--max-timed-runs": visit.max_timed_runs,
    }
    return [str(RUNNER), *(str(word) for option in options.items() for word in option)]


def read() -> dict[str, list[Visit]]:
    """Return the recorded visits of each network, in order; a repeated round counts once."""
    lines = RECORDING.read_text().splitlines() if RECORDING.is_file() else []
    found: dict[str, dict[int, Visit]] = {name: {} for name in networks()}
    for line in map(json.loads, lines):
        wall_ns, cpu_ns, switches = (tuple(line[key]) for key in SERIES)
        found[line["network"]][line["round"]] = Visit(
            run_id="",
            traced=False,
            wall_ns=wall_ns,
            cpu_ns=cpu_ns,
            involuntary_switches=switches,
            warmup_runs=SPEC.visit.warmup_runs,
            load_ns=0,
            peak_rss_bytes=None,
            before=UNKNOWN,
            after=UNKNOWN,
        )
    return {name: [visits[key] for key in sorted(visits)] for name, visits in found.items()}


def of_size(visits: Sequence[Visit], size: int) -> Iterator[Window]:
    """Yield all windows of so many visits in which enough visits are clean for a measurement."""
    truth = summarize(visits)
    assert truth is not None
    for start in range(len(visits) - size + 1):
        summary = summarize(visits[start : start + size])
        if summary is not None and 2 * summary.clean_visits >= SPEC.min_visits:
            yield Window(summary, truth.latency_ns)


def first(
    series: Sequence[Sequence[Visit]],
    earlier_summaries: Sequence[Sequence[Summary | None]],
    number: int,
    size: int,
) -> Iterator[Window]:
    """Yield the windows of so few visits of one network that the spread of others counts.

    `earlier_summaries` are those of the windows of EARLIER_VISITS of each network.
    """
    truth = summarize(series[number])
    assert truth is not None
    others = [row for other, row in enumerate(earlier_summaries) if other != number]
    for start in range(EARLIER * EARLIER_VISITS, len(series[number]) - size + 1):
        begins = range(start - EARLIER * EARLIER_VISITS, start, EARLIER_VISITS)
        earlier = [summary for row in others for begin in begins if (summary := row[begin])]
        summary = summarize(series[number][start : start + size], usual_spread(earlier))
        if summary is not None and summary.clean_visits == size:
            yield Window(summary, truth.latency_ns)


def stopped(visits: Sequence[Visit], spec: BenchmarkSpec = SPEC) -> Iterator[Window]:
    """Yield, for each visit to begin with, the window that a measurement would end with."""
    truth = summarize(visits)
    assert truth is not None
    for start in range(len(visits) - spec.max_visits + 1):
        for end in range(start + spec.min_visits, len(visits) + 1):
            needed = progress(spec, visits[start:end])
            if isinstance(needed, Failure):
                break
            if needed is None:
                summary = summarize(visits[start:end])
                assert summary is not None
                yield Window(summary, truth.latency_ns)
                break


def show(
    name: str, windows: list[list[Window]], conditions: dict[str, object], goal: Goal = GOAL
) -> None:
    """Report the share of windows that hold the truth, as the mean over networks."""
    each = [fmean(window.holds for window in network) for network in windows]
    pooled = flat(windows)
    rng = np.random.default_rng(SEED)
    means = rng.choice(each, (1_000, len(each))).mean(axis=1)
    report(
        name,
        round(fmean(each), 4),
        "share",
        goal,
        interval_90=np.quantile(means, (0.05, 0.95)).round(3).tolist(),
        each=[round(share, 2) for share in each],
        windows=len(pooled),
        mean_visits=round(fmean(window.summary.visits for window in pooled), 2),
        median_half_width_pct=round(100 * median(w.half_width for w in pooled), 2),
        margins_that_would_hold_90_pct=round(
            float(np.quantile([window.needed for window in pooled], 0.9)), 3
        ),
        **conditions,
    )


def autocorrelation(visits: Sequence[Visit]) -> float:
    """Return how far the logarithms of neighbouring clean visits go together, from -1 to 1."""
    logs = np.log([ns for ns in map(visit_latency_ns, visits) if ns is not None])
    logs = np.minimum(logs, np.quantile(logs, 0.75)) if len(logs) else logs
    if len(logs) < 3 or np.ptp(logs) == 0:
        return 0.0
    return float(np.corrcoef(logs[1:], logs[:-1])[0, 1])


def is_clean(visit: Visit) -> bool:
    return visit_latency_ns(visit) is not None


def flat(rows: Sequence[Sequence[T]]) -> list[T]:
    return [each for row in rows for each in row]


if __name__ == "__main__":
    main()
