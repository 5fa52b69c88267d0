"""programs.wrong and programs.check_share: whether programs compute what their modules compute.

The second figure is the cost of the check.

python -m tests.bench.bench_wrong [MODULES [WORKERS]]: by default 2,000 modules in 2 worker
processes, which take about 30 minutes on two quiet cores: four in ten need ExecuTorch's own
lowering, of 1 to 3 s. QUICK=1 draws a tenth of the modules.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import Empty, SimpleQueue
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.bench.figures import at_most, exactly, quick, report
from tests.latlab.export.export_faults import Finding, examine, summary
from tests.latlab.export.strange_modules import Case, cases

SEED = 20265
MODULES = 2000
CASE_DEADLINE_S = 300
EXPORTS_PER_WORKER = 100  # stock lowering keeps tens of MB each time
SHARE_EXPORTS = 9
ENDED = Finding("", "", ("the process ended",))


def main() -> None:
    modules = int(sys.argv[1]) if len(sys.argv) > 1 else quick(MODULES)
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    check_share()
    wrong(modules, workers)


def wrong(modules: int, workers: int) -> None:
    started_s = time.monotonic()
    waiting: SimpleQueue[Case] = SimpleQueue()
    for case in drawn(modules):
        waiting.put(case)
    findings: list[Finding] = []
    threads = [
        threading.Thread(target=_examine_all, args=(waiting, findings)) for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(
        "programs.wrong",
        sum(bool(finding.faults) for finding in findings),
        "modules",
        exactly(0),
        modules=len(findings),
        seed=SEED,
        **summary(findings),
        seconds=round(time.monotonic() - started_s),
    )


def drawn(count: int) -> list[Case]:
    """Draw distinct cases, always the same ones."""
    found: dict[Case, None] = {}

    @seed(SEED)
    @settings(
        max_examples=2 * count,  # hypothesis draws some of them twice
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases())
    def draw(case: Case) -> None:
        found[case] = None

    draw()
    return list(found)[:count]


def _examine_all(waiting: SimpleQueue[Case], findings: list[Finding]) -> None:
    """Examine the cases in a process that is replaced if a program ends it."""
    while not waiting.empty():
        with ProcessPoolExecutor(
            1,
            multiprocessing.get_context("spawn"),
            one_core,
            max_tasks_per_child=EXPORTS_PER_WORKER,
        ) as process:
            for case in _taken(waiting):
                try:
                    finding = process.submit(_examine, case).result()
                except BrokenProcessPool:
                    finding = ENDED
                findings.append(finding)
                if finding.faults:
                    print(finding.way, finding.faults, case, file=sys.stderr, flush=True)
                if finding is ENDED:
                    break


def _examine(case: Case) -> Finding:
    signal.alarm(CASE_DEADLINE_S)  # ends this process
    try:
        return examine(case)
    finally:
        signal.alarm(0)


def _taken(waiting: SimpleQueue[Case]) -> Iterator[Case]:
    try:
        while True:
            yield waiting.get_nowait()
    except Empty:
        return


def check_share() -> None:
    """Report the cost of checking direct exports of MnasNet-A1 on one thread.

    The check runs the module and the program and compares their outputs.
    """
    from latlab.export import export_program
    from latlab.export.execution import checking
    from search.space.deployment import DEFAULT_DEPLOYMENT
    from search.space.network import build_network
    from search.space.zoo import ZOO

    one_core()
    network = build_network(ZOO["mnasnet-a1"], seed=0)
    export_program(network, DEFAULT_DEPLOYMENT.input_shape)  # imports the modules
    shares, wholes_s, checks_s = [], [], []
    for _ in range(SHARE_EXPORTS):
        with (
            _timed(checking.Reference, "__init__") as reference_s,
            _timed(checking.Reference, "disagreement") as comparison_s,
        ):
            start_s = time.perf_counter()
            program, _ = export_program(network, DEFAULT_DEPLOYMENT.input_shape)
            wholes_s.append(time.perf_counter() - start_s)
        assert program.exporter.startswith("direct")
        checks_s.append(sum(reference_s) + sum(comparison_s))
        shares.append(checks_s[-1] / wholes_s[-1])
    report(
        "programs.check_share",
        round(statistics.median(shares), 3),
        "share",
        at_most(0.3),
        exports=SHARE_EXPORTS,
        export_s=round(statistics.median(wholes_s), 3),
        check_s=round(statistics.median(checks_s), 3),
    )


@contextlib.contextmanager
def _timed(owner: object, name: str) -> Iterator[list[float]]:
    """Yield the seconds of each call of the owner's function or class with this name."""
    seconds: list[float] = []
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original, updated=())
    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as the original has them
        start_s = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - start_s)

    with mock.patch.object(owner, name, timed):
        yield seconds


def one_core() -> None:
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
