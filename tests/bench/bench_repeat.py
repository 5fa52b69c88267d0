"""repeat.*: how well a measurement repeats, on an idle machine and beside a neighbour.

Latencies are those that the lab answers. They are steadied as its predictor of the target had
learned before the first of them. What the predictor needs is measured first.

python -m tests.bench.bench_repeat [TIMES]: the number of measurements of each network, by default
20.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

import numpy as np

from host.home.paths import LabHome
from host.measuring.statistics import summarize
from latency_models.interference import Steadying
from latency_models.kernel_predictor import KernelPredictor
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ProgramCache
from search.latency.networks import export_spec
from search.space.space import mnasnet_space
from tests.bench.figures import at_least, at_most, report
from tests.bench.real_lab import calibrated

SEED = 20264
LEARNED_FROM = 60
NETWORKS = 5
BESIDE_A_NEIGHBOUR = 5
SPEC = replace(BenchmarkSpec(), traced_visits=0)

# Keeps one core busy for a share of every 100 ms.
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
    with ExportPool(ProgramCache(LabHome.from_environment().exports)) as pool:
        files = pool.export_all(list(map(export_spec, networks)))
    programs = [file for file in files if isinstance(file, ProgramFile)]
    with calibrated(LEARNED_FROM) as (client, target):
        steadying = KernelPredictor.fit(client.measured_networks(target.id)).steadying
        bench = Bench(client, target, programs, steadying)
        idle_ns, cv = bench.idle(times, rng)
        for duty in (0.2, 1.0):
            bench.beside_a_neighbour(idle_ns, cv, duty)


@dataclass(frozen=True)
class Bench:
    client: LatencyClient
    target: Target
    programs: list[ProgramFile]
    steadying: Steadying

    def idle(self, times: int, rng: np.random.Generator) -> tuple[dict[str, float], float]:
        """Measure in rounds, with a contiguous run of every program between the visits.

        Returns:
            The latency by program, and the mean coefficient of variation.
        """
        steady_ns: dict[str, list[float]] = {file.program.sha256: [] for file in self.programs}
        raw_ns: dict[str, list[float]] = {file.program.sha256: [] for file in self.programs}
        contiguous_ns: dict[str, list[float]] = {file.program.sha256: [] for file in self.programs}
        device_s = []
        device_ns = SPEC.max_visits * (SPEC.visit.warmup_ns + SPEC.visit.timed_ns)
        for round_ in range(times):
            print(f"\rround {round_ + 1} of {times}", end="", file=sys.stderr)
            shuffled = [self.programs[i] for i in rng.permutation(len(self.programs))]
            timed_ns = device_ns - SPEC.visit.warmup_ns
            one_long = replace(
                SPEC, visit=replace(SPEC.visit, timed_ns=timed_ns), min_visits=1, max_visits=1
            )
            with ThreadPoolExecutor() as both:
                spread = both.submit(self.measure, shuffled, SPEC)
                contiguous = both.submit(self.measure, shuffled, one_long)
            for outcome in spread.result():
                steady_ns[outcome.program_sha256].append(self.latency_ns(outcome))
                raw_ns[outcome.program_sha256].append(self.latency_ns(outcome, Steadying.none()))
                device_s.append(
                    sum(visit.after.unix_ns - visit.before.unix_ns for visit in outcome.visits)
                    / 1e9
                )
            device_ns = round(1e9 * fmean(device_s))
            for outcome in contiguous.result():
                contiguous_ns[outcome.program_sha256].append(median(outcome.visits[0].wall_ns))
        print(file=sys.stderr)
        cvs, raw_cvs, plain_cvs = map(variation, (steady_ns, raw_ns, contiguous_ns))
        conditions = {
            "networks": len(self.programs),
            "measurements_of_each": times,
            "seed": SEED,
            "device_s_of_each": round(fmean(device_s), 2),
        }
        for name, each, goal in (
            ("repeat.cv_pct", cvs, at_most(1.5)),
            ("repeat.cv_pct_unsteadied", raw_cvs, None),
            ("repeat.cv_pct_contiguous", plain_cvs, None),
        ):
            each_pct = [round(100 * cv, 2) for cv in each]
            report(name, round(100 * fmean(each), 2), "%", goal, **conditions, each=each_pct)
        ratio = fmean(cvs) / fmean(plain_cvs)
        report("repeat.cv_ratio", round(ratio, 3), "ratio", at_most(0.2), **conditions)
        return {sha256: median(ns) for sha256, ns in steady_ns.items()}, fmean(cvs)

    def beside_a_neighbour(self, idle_ns: dict[str, float], cv: float, duty: float) -> None:
        """Report the errors beside a neighbour, and how many measurements do not fail."""
        device = next(status.device for status in self.client.devices() if status.device)
        core_class = self.target.core_class
        cpus = next(core.cpus for core in device.core_classes if core.name == core_class)
        asked, accepted, errors = 0, 0, []
        with neighbour(max(cpus), duty):
            for _ in range(BESIDE_A_NEIGHBOUR if duty < 1 else 1):
                outcomes = self.client.measure(self.target.id, self.programs, SPEC, fresh=True)
                asked += len(outcomes)
                for outcome in outcomes:
                    if isinstance(outcome, MeasuredLatency):
                        accepted += 1
                        measurement = self.client.measurement(outcome.measurement_id)
                        latency_ns = self.latency_ns(measurement)
                        errors.append(abs(latency_ns / idle_ns[outcome.program_sha256] - 1))
        name = f"{duty:.0%}".replace("%", "pct")
        conditions = {"measurements": asked, "neighbour_duty": duty}
        goal = at_least(0.8) if duty < 1 else None
        report(f"repeat.accepted_{name}", accepted / asked, "share", goal, **conditions)
        if errors:
            report(
                f"repeat.error_{name}_pct",
                round(100 * fmean(errors), 2),
                "%",
                at_most(round(200 * cv, 2)),
                **conditions,
                each=[round(100 * error, 2) for error in errors],
            )

    def measure(self, programs: Sequence[ProgramFile], spec: BenchmarkSpec) -> list[Measurement]:
        outcomes = self.client.measure(self.target.id, programs, spec, fresh=True)
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                print(f"left out: {outcome.message}", file=sys.stderr)
        return [
            self.client.measurement(outcome.measurement_id)
            for outcome in outcomes
            if isinstance(outcome, MeasuredLatency)
        ]

    def latency_ns(self, measurement: Measurement, steadying: Steadying | None = None) -> float:
        [kernels] = [
            file.program.kernels
            for file in self.programs
            if file.program.sha256 == measurement.program_sha256
        ]
        summary = summarize(measurement.visits)
        assert summary is not None
        network = MeasuredNetwork.of(kernels, None, summary, measurement.unix_ns)
        return (steadying or self.steadying)(network).latency_ns


def variation(latencies_ns: dict[str, list[float]]) -> list[float]:
    """Return the coefficient of variation of each."""
    return [stdev(ns) / fmean(ns) for ns in latencies_ns.values()]


@contextmanager
def neighbour(cpu: int, duty: float) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(cpu), str(duty)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
