"""search.overlap_ratio: a network's latency while a search works between visits, and alone.

python -m tests.bench.bench_overlap

Candidates are trained and networks exported all the time, on all cores. Each pair of visits is one
while that work goes on between visits and stands still during them, as in a search, and one while
the work stood still for seconds before. Now and then a visit beside the running work shows what the
work would do to a latency, and that it does run. The pairs come in random order.

It takes about 15 minutes on a machine that must be left alone. QUICK=1 does a tenth.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import numpy as np

from host.home.paths import LabHome
from host.measuring.comparison import Comparison, compare
from latlab.common.turns.processes import Process, descendants, let_continue, stop_descendants
from latlab.common.turns.sharing import sharing_machine
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Visit
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ProgramCache
from search.latency.networks import export_spec
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench.figures import Goal, quick, report, within
from tests.bench.real_lab import RealLab, real_lab

NETWORK = "mnasnet-a1"
PAIRS = quick(120, 10)
BESIDE_EVERY = quick(24, 6)  # pairs; most of these visits are disturbed, and tried again
SETTLE_S = 2.0  # before each visit
START_S = 30.0  # until the work has loaded PyTorch
SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0, spacing_ns=0)
SEED = 20


class Work(Enum):
    """What the work does about a visit."""

    STANDS_STILL = "stands still before and during the visit"
    STOPS = "is stopped for the visit"
    GOES_ON = "goes on beside the visit"


def main() -> None:
    visits: dict[Work, dict[int, Visit]] = {work: {} for work in Work}  # by pair
    shares: list[float] = []  # of all cores that the work took before visits that stopped it
    with real_lab() as opened, working() as worker:
        [file] = opened.pool.export_all([export_spec(ZOO[NETWORK])])
        assert isinstance(file, ProgramFile)
        time.sleep(START_S)
        rng = random.Random(SEED)
        for pair in range(PAIRS):
            states = [Work.STANDS_STILL, Work.STOPS]
            if pair % BESIDE_EVERY == 0:
                states.append(Work.GOES_ON)
            for state in rng.sample(states, len(states)):
                with prepared(state, worker):
                    before_s = processor_s(worker)
                    time.sleep(SETTLE_S)
                    if state is Work.STOPS:
                        used_s = processor_s(worker) - before_s
                        shares.append(used_s / SETTLE_S / (os.cpu_count() or 1))
                    if (visit := one_visit(opened, file)) is not None:
                        visits[state][pair] = visit
            print(f"\r{pair + 1}/{PAIRS} pairs", end="", file=sys.stderr)
        assert worker.poll() is None, "the work has ended"
    print(file=sys.stderr)
    still = visits[Work.STANDS_STILL]
    publish(
        "search.overlap_ratio",
        against(visits[Work.STOPS], still),
        within(1, 0.01),
        work_share=round(float(np.median(shares)), 2),
    )
    beside = len(range(0, PAIRS, BESIDE_EVERY))
    publish(
        "search.overlap_ratio_unstopped",
        against(visits[Work.GOES_ON], still),
        None,
        visits=beside,
        given_up=beside - len(visits[Work.GOES_ON]),
    )


def against(visits: dict[int, Visit], still: dict[int, Visit]) -> Comparison | Failure:
    """Compare the visits of the pairs that have both."""
    pairs = sorted(visits.keys() & still.keys())
    return compare([visits[pair] for pair in pairs], [still[pair] for pair in pairs])


def publish(
    name: str, outcome: Comparison | Failure, goal: Goal | None, **conditions: object
) -> None:
    if isinstance(outcome, Failure):
        report(name, float("nan"), "ratio", goal, failure=outcome.message, **conditions)
        return
    report(
        name,
        round(outcome.ratio, 4),
        "ratio",
        goal,
        interval=[round(outcome.lower, 4), round(outcome.upper, 4)],
        pairs=outcome.pairs,
        network=NETWORK,
        **conditions,
    )


@contextlib.contextmanager
def working() -> Iterator[subprocess.Popen[bytes]]:
    """Train and export in a process of its own, and end all that it started."""
    command = [sys.executable, "-m", "tests.bench.bench_overlap", "work"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker:
        try:
            yield worker
        finally:
            started = descendants(worker.pid)
            worker.kill()
            for process in started:
                process.send(signal.SIGKILL)


@contextlib.contextmanager
def prepared(state: Work, worker: subprocess.Popen[bytes]) -> Iterator[None]:
    """Bring the work into a state, and let it go on afterwards."""
    stopped: list[Process] = []
    if state is Work.STANDS_STILL:
        worker.send_signal(signal.SIGSTOP)
        stopped = stop_descendants(worker.pid)
    home = LabHome.from_environment().root
    try:
        with sharing_machine(home, worker.pid) if state is Work.STOPS else contextlib.nullcontext():
            yield
    finally:
        let_continue(stopped)
        worker.send_signal(signal.SIGCONT)


def processor_s(worker: subprocess.Popen[bytes]) -> float:
    """Return how many seconds of processor time the work's processes have used."""
    ticks = 0
    for process in descendants(worker.pid):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended
            stat = Path(f"/proc/{process.id}/stat").read_bytes()
            ticks += sum(map(int, stat.rpartition(b")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def one_visit(opened: RealLab, file: ProgramFile) -> Visit | None:
    """Return the visit, or the first one if it was disturbed and tried again; None if given up."""
    [outcome] = opened.client.measure(opened.target.id, [file], SPEC, fresh=True)
    if isinstance(outcome, Failure):
        if outcome.kind is not FailureKind.DISTURBED:
            raise RuntimeError(f"a visit failed: {outcome.message}")
        return None
    return opened.client.measurement(outcome.measurement_id).visits[0]


def work() -> None:
    """Train on all cores, and export beside that, until the process is ended."""
    from search.accuracy.data.datasets import load_dataset
    from search.accuracy.proxy import ProxyAccuracy
    from search.study.settings import ProxyBudget

    space, rng = mnasnet_space(), np.random.default_rng(SEED)
    threading.Thread(target=export, daemon=True).start()
    budget = ProxyBudget()
    dataset = load_dataset(
        "digits", resolution=budget.resolution, train_images=1024, val_images=512, seed=0
    )
    accuracy = ProxyAccuracy(dataset, budget)
    while True:
        accuracy.evaluate([space.resolve(space.sample(rng)) for _ in range(16)])


def export() -> None:
    space, rng = mnasnet_space(), np.random.default_rng(SEED + 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        ExportPool(ProgramCache(Path(folder)), workers=1) as pool,
    ):
        while True:
            pool.export_all([export_spec(space.resolve(space.sample(rng))) for _ in range(8)])


if __name__ == "__main__":
    work() if sys.argv[1:] == ["work"] else main()
