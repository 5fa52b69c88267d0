"""search.first_report_s, search.idle_share: the first search of a new user.

python -m tests.bench.bench_first_report [SEEDS]

`make search` after installing, in an empty home: the lab comes up, calibrates and searches with all
defaults, and writes its report. It is done once for each seed from 0; the default is one.

search.first_report_s  from the start to the report, the median of the seeds
search.idle_share      the share of the time after the calibration in which neither a visit nor a
                       training nor an export ran; the median of the seeds
search.first_report_hv the hypervolume of the measured networks, the median of the seeds

AGAINST=FOLDER does the same in another checkout beforehand, whose figures are printed as
conditions. Hypervolumes compare only if both have the same proxy task. A seed takes about seven
minutes on a machine that must be left alone. QUICK=1 searches among 8 candidates.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.home.paths import REPOSITORY, LabHome
from latlab.client.client import LatencyClient
from latlab.common.turns.locks import TurnLocks
from latlab.common.turns.processes import descendants, read_process
from search.study.front import front
from search.study.pareto import hypervolume
from search.study.study import SETTINGS, Study, read_study
from search.study.trial import is_measured
from tests.bench.figures import IS_QUICK, at_most, report

STUDY = "first"
OPTIONS = ("--rounds=2", "--round-size=4", "--calibration=8") if IS_QUICK else ()
SAMPLE_S = 0.1
SCAN_S = 1.0  # between two looks for new processes, which take longer
GUARDIAN = b"latlab.common.turns.guardian"  # of a search; it is no work
DEADLINE_S = 3600.0


@dataclass(frozen=True)
class FirstSearch:
    """What one search took and found.

    Attributes:
        total_s: From the start to the report.
        idle_share: Share of the time after the calibration in which nothing ran; NaN if that is
            not known.
        calibrated_s: From the start to the end of the calibration.
        calibration: Number of networks that were measured before the search.
        suspect: How many of all measurements no predictor learns from, since the machine drifted
            while they were made. The lab lets the device wait then.
        candidates: Number of distinct candidates.
        measured: How many of them were measured.
        hypervolume: That of the measured ones, as a share of what a perfect network that takes no
            time would have.
    """

    total_s: float
    idle_share: float
    calibrated_s: float
    calibration: int
    suspect: int
    candidates: int
    measured: int
    hypervolume: float


class Activity(threading.Thread):
    """Samples whether anything runs: a visit, or a process that the search has started."""

    def __init__(self, home: Path, process_id: int) -> None:
        super().__init__(daemon=True)
        self._locks = TurnLocks(home)
        self._process_id = process_id
        self._ended = threading.Event()
        self.samples: list[tuple[float, bool]] = []  # when, and whether nothing ran

    def run(self) -> None:
        ticks: dict[int, int] = {}
        next_scan_s = time.monotonic()
        while not self._ended.wait(SAMPLE_S):
            now_s = time.monotonic()
            if now_s >= next_scan_s:
                ticks = {id_: ticks.get(id_, used_ticks(id_)) for id_ in workers(self._process_id)}
                next_scan_s = now_s + SCAN_S
            used = {id_: used_ticks(id_) for id_ in ticks}
            works = any(used[id_] > ticks[id_] or is_running(id_) for id_ in ticks)
            self.samples.append((now_s, not works and not self._locks.is_visit_wanted()))
            ticks = used

    def idle_share(self, since_s: float) -> float:
        idle = [is_idle for when_s, is_idle in self.samples if when_s >= since_s]
        return statistics.fmean(idle) if idle else float("nan")

    def end(self) -> None:
        self._ended.set()
        self.join()
        self._locks.close()


def workers(process_id: int) -> set[int]:
    """Return the ids of the processes that a search has started for work."""
    found = {process.id for process in descendants(process_id)}
    return {id_ for id_ in found if GUARDIAN not in command_of(id_)}


def command_of(process_id: int) -> bytes:
    """Return a process's command; empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    return b""


def is_running(process_id: int) -> bool:
    process = read_process(process_id)
    return process is not None and process.state in "RD"


def used_ticks(process_id: int) -> int:
    """Return the processor time that a process has used; 0 if it has ended."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{process_id}/stat").read_bytes()
        return sum(map(int, stat.rpartition(b")")[2].split()[11:13]))
    return 0


def main() -> None:
    seeds = range(int(sys.argv[1]) if sys.argv[1:] else 1)
    against = os.environ.get("AGAINST")
    before = [first_search(Path(against), seed) for seed in seeds] if against else []
    searches = [first_search(REPOSITORY, seed) for seed in seeds]
    conditions = {
        "seeds": len(seeds),
        "calibration": [each.calibration for each in searches],
        "suspect": [each.suspect for each in searches],
        "candidates": [each.candidates for each in searches],
        "measured": [each.measured for each in searches],
        "calibrated_s": [round(each.calibrated_s) for each in searches],
    }
    totals_s = [each.total_s for each in searches]
    report(
        "search.first_report_s",
        round(statistics.median(totals_s)),
        "s",
        at_most(420),
        each=[round(total_s) for total_s in totals_s],
        before=[round(each.total_s) for each in before],
        measured_before=[each.measured for each in before],
        **conditions,
    )
    report(
        "search.idle_share",
        round(statistics.median(each.idle_share for each in searches), 3),
        "share",
        at_most(0.15),
        each=[round(each.idle_share, 3) for each in searches],
    )
    report(
        "search.first_report_hv",
        round(statistics.median(each.hypervolume for each in searches), 4),
        "share",
        None,
        each=[round(each.hypervolume, 4) for each in searches],
        before=[round(each.hypervolume, 4) for each in before],
    )


def first_search(checkout: Path, seed: int) -> FirstSearch:
    """Bring a lab up and search in a checkout, whose own code runs."""
    print(f"{checkout}, seed {seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="latlab-first-") as name:
        home, runs = Path(name) / "home", Path(name) / "runs"
        runner = LabHome.from_environment().runner
        environment = {**os.environ, "LATLAB_HOME": str(home), "LATLAB_RUNNER": str(runner)}
        start_s = time.monotonic()
        try:
            latlab(checkout, environment, "lab", "up")
            words = ("search", f"--study={STUDY}", f"--runs={runs}", f"--seed={seed}", *OPTIONS)
            with started(checkout, environment, *words) as search:
                activity = Activity(home, search.pid)
                activity.start()
                calibrated_s = wait_for(runs / STUDY / SETTINGS, search)
                if search.wait(DEADLINE_S):
                    raise RuntimeError(f"the search ended with exit code {search.returncode}")
                total_s = time.monotonic() - start_s
                activity.end()
            study = read_study(runs / STUDY)
            programs, suspect = programs_measured(home)
        finally:
            latlab(checkout, environment, "lab", "down")
    trials = study.latest().values()
    measured = sum(map(is_measured, trials))
    return FirstSearch(
        total_s,
        activity.idle_share(calibrated_s),
        calibrated_s - start_s,
        programs - measured,
        suspect,
        len(trials),
        measured,
        share_of_volume(study),
    )


def wait_for(path: Path, search: subprocess.Popen[bytes]) -> float:
    """Wait until the study's settings exist, which the search writes when it has calibrated."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not path.exists():
        if search.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError("the search ended before it began")
        time.sleep(SAMPLE_S)
    return time.monotonic()


def programs_measured(home: Path) -> tuple[int, int]:
    """Return how many programs were measured, and how many of them as the machine had drifted."""
    with LatencyClient.connect(home) as client:
        every = list(client.query_measurements(everything=True))
    suspect = {each.program_sha256: each.suspect for each in every if not each.is_sentinel}
    return len(suspect), sum(suspect.values())


def share_of_volume(study: Study) -> float:
    """Return the hypervolume up to twice the target latency, as a share of its bounds."""
    points = [
        (trial.accuracy, trial.latency.latency_ns / study.settings.target_ns)
        for trial in front(filter(is_measured, study.latest().values()))
        if trial.accuracy is not None and trial.latency is not None
    ]
    return hypervolume([a for a, _ in points], [ratio for _, ratio in points], 0.0, 2.0) / 2


@contextlib.contextmanager
def started(
    checkout: Path, environment: Mapping[str, str], *words: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command of a checkout, and end it if the block raises."""
    command = [sys.executable, "-c", "from search.cli import app; app()", *words]
    with subprocess.Popen(command, cwd=checkout, env=environment, stdout=sys.stderr) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def latlab(checkout: Path, environment: Mapping[str, str], *words: str) -> None:
    with started(checkout, environment, *words) as process:
        if process.wait(DEADLINE_S):
            raise RuntimeError(f"latlab {' '.join(words)} ended with {process.returncode}")


if __name__ == "__main__":
    main()
