"""repeat.*: how well a measurement repeats, on an idle machine and beside a neighbour.

Latencies are as the lab answers them: steadied by what it had learned on its default target
before the first of them. What is missing for that is measured first.

python -m tests.bench.bench_repeat [TIMES], measurements of each network: 20.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from host import lab
from host.client import LatencyClient
from host.domain import BenchmarkSpec, Failure, Measurement, ProgramFile
from host.export import ExportPool, ProgramCache
from host.home import LabHome
from host.summary import summarize
from search.lab import export_spec
from search.space import mnasnet_space
from tests.bench.figures import report

SEED = 20264
NETWORKS = 5
BESIDE_A_NEIGHBOUR = 5
SPEC = replace(BenchmarkSpec(), traced_visits=0)

# Spins for a share of every 100 ms on one core.
NEIGHBOUR = """\
import os, sys, time
os.sched_setaffinity(0, [int(sys.argv[1])])
duty = float(sys.argv[2])
while True:
    start = time.perf_counter()
    while time.perf_counter() - start < 0.1 * duty:
        pass
    time.sleep(0.1 * (1 - duty))
"""


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    space, rng = mnasnet_space(), np.random.default_rng(SEED)
    networks = [space.resolve(space.sample(rng)) for _ in range(NETWORKS)]
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder:
        home = LabHome(Path(folder))
        with ExportPool(ProgramCache(home.exports)) as pool:
            files = pool.export_all(list(map(export_spec, networks)))
        programs = [file for file in files if isinstance(file, ProgramFile)]
        lab.up(home)
        try:
            with LatencyClient.connect(home) as client:
                idle_ns, cv = idle(client, programs, times, rng)
                for duty in (0.2, 1.0):
                    beside_a_neighbour(client, programs, idle_ns, cv, duty)
        finally:
            lab.down(home)


def idle(
    client: LatencyClient, programs: list[ProgramFile], times: int, rng: np.random.Generator
) -> tuple[dict[str, float], float]:
    """Rounds of measurements, and between their visits a contiguous run of every program of
    the same device time. Latency by program, and the mean coefficient of variation."""
    spread_ns: dict[str, list[float]] = {file.program.sha256: [] for file in programs}
    contiguous_ns: dict[str, list[float]] = {file.program.sha256: [] for file in programs}
    device_s = []
    device_ns = SPEC.max_visits * (SPEC.visit.warmup_ns + SPEC.visit.timed_ns)
    for round_ in range(times):
        print(f"\rround {round_ + 1} of {times}", end="", file=sys.stderr)
        shuffled = [programs[i] for i in rng.permutation(len(programs))]
        timed_ns = device_ns - SPEC.visit.warmup_ns
        one_long = replace(
            SPEC, visit=replace(SPEC.visit, timed_ns=timed_ns), min_visits=1, max_visits=1
        )
        with ThreadPoolExecutor() as both:
            spread = both.submit(measure, client, shuffled, SPEC)
            contiguous = both.submit(measure, client, shuffled, one_long)
        for outcome in spread.result():
            spread_ns[outcome.program_sha256].append(latency_ns(outcome))
            device_s.append(
                sum(visit.after.unix_ns - visit.before.unix_ns for visit in outcome.visits) / 1e9
            )
        device_ns = round(1e9 * fmean(device_s))
        for outcome in contiguous.result():
            contiguous_ns[outcome.program_sha256].append(median(outcome.visits[0].wall_ns))
    print(file=sys.stderr)
    cvs = [stdev(ns) / fmean(ns) for ns in spread_ns.values()]
    plain_cvs = [stdev(ns) / fmean(ns) for ns in contiguous_ns.values()]
    conditions = {
        "networks": len(programs),
        "measurements_of_each": times,
        "seed": SEED,
        "device_s_of_each": round(fmean(device_s), 2),
    }
    report(
        "repeat.cv_pct",
        round(100 * fmean(cvs), 2),
        "%",
        "≤ 1.5",
        **conditions,
        each=[round(100 * cv, 2) for cv in cvs],
    )
    report(
        "repeat.cv_ratio",
        round(fmean(cvs) / fmean(plain_cvs), 3),
        "ratio",
        "≤ 0.2",
        **conditions,
        contiguous_cv_pct=[round(100 * cv, 2) for cv in plain_cvs],
    )
    return {sha256: median(ns) for sha256, ns in spread_ns.items()}, fmean(cvs)


def beside_a_neighbour(
    client: LatencyClient,
    programs: list[ProgramFile],
    idle_ns: dict[str, float],
    cv: float,
    duty: float,
) -> None:
    """A measurement is accepted unless it ends as a Failure."""
    target = client.default_target()
    device = next(status.device for status in client.devices() if status.device)
    cpus = next(core.cpus for core in device.core_classes if core.name == target.core_class)
    asked, accepted, errors = 0, 0, []
    with neighbour(max(cpus), duty):
        for _ in range(BESIDE_A_NEIGHBOUR if duty < 1 else 1):
            outcomes = client.measure(target.id, programs, SPEC, fresh=True)
            asked += len(outcomes)
            for outcome in outcomes:
                if isinstance(outcome, Measurement):
                    accepted += 1
                    errors.append(abs(latency_ns(outcome) / idle_ns[outcome.program_sha256] - 1))
    name = f"{duty:.0%}".replace("%", "pct")
    conditions = {"measurements": asked, "neighbour_duty": duty}
    goal = "≥ 0.8" if duty < 1 else None
    report(f"repeat.accepted_{name}", accepted / asked, "share", goal, **conditions)
    if errors:
        report(
            f"repeat.error_{name}_pct",
            round(100 * fmean(errors), 2),
            "%",
            f"≤ {200 * cv:.2f}",
            **conditions,
            each=[round(100 * error, 2) for error in errors],
        )


@contextmanager
def neighbour(cpu: int, duty: float) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(cpu), str(duty)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(
    client: LatencyClient, programs: list[ProgramFile], spec: BenchmarkSpec
) -> list[Measurement]:
    outcomes = client.measure(client.default_target().id, programs, spec, fresh=True)
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            print(f"left out: {outcome.message}", file=sys.stderr)
    return [outcome for outcome in outcomes if isinstance(outcome, Measurement)]


def latency_ns(measurement: Measurement) -> float:
    summary = summarize(measurement.visits)
    assert summary is not None
    return summary.latency_ns


if __name__ == "__main__":
    main()
