"""search.*: the costs of a search on Accel-NASBench's table, and what it samples near the target.

python -m tests.bench.bench_search
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from search.loop import run_search
from search.strategies.strategy import Strategy, make_strategy
from search.study.journal import read_rounds
from search.study.settings import (
    HardReward,
    LoopSettings,
    Reward,
    SoftReward,
    StrategyName,
    StudySettings,
)
from search.study.study import JOURNAL, Study, open_study, read_study
from search.study.trial import Trial
from tests.bench.figures import at_most, exactly, report
from tests.bench.public_data import public_data
from tests.bench.table_lab import SPACE, TableLab, table_settings

SAMPLES = 1_000
LONG_SAMPLES = 8_000
ROUND_SIZE = 20
NEAR = 0.1  # as a share of the target latency
KILLS = 5
KILLED_ROUNDS = 100
DEADLINE_S = 120.0  # for each search that is killed
FIGURE_6 = Path("build/figure6.png")

Call = TypeVar("Call", bound=Callable[..., object])


@dataclass
class Clock:
    """The total time of the calls that it watches."""

    calls: dict[str, float] = field(default_factory=dict)

    def watch(self, name: str, call: Call) -> Call:
        def watched(*arguments: object) -> object:
            start_s = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                elapsed_s = time.perf_counter() - start_s
                self.calls[name] = self.calls.get(name, 0.0) + elapsed_s

        return watched  # type: ignore[return-value]


@dataclass
class Watched:
    """A strategy, an accuracy and a lab whose calls are timed."""

    strategy: Strategy
    lab: TableLab
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.ask = self.clock.watch("ask", self.strategy.ask)
        self.tell = self.clock.watch("tell", self.strategy.tell)
        self.learn = self.strategy.learn
        self.statistics = self.strategy.statistics
        self.adopt = self.strategy.adopt
        self.evaluate = self.clock.watch("evaluate", self.lab.accuracy.evaluate)
        self.predict = self.clock.watch("predict", self.lab.predict)
        self.measure = self.lab.measure
        self.look_up = self.lab.look_up


def main() -> None:
    path = public_data("anb_dev.csv")
    if path is None:
        return
    torch.set_num_threads(1)
    lab = TableLab.of(path)
    target_ns = lab.target_ns
    long_search(lab, target_ns)
    near_target(lab, target_ns)
    resume_equal(path, lab, target_ns)


def long_search(lab: TableLab, target_ns: int) -> None:
    watched = Watched(make_strategy(StrategyName.PPO, SPACE, 0), lab)
    start_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        study = search(Path(directory), lab, settings(target_ns), LONG_SAMPLES, watched)
    total_s = time.perf_counter() - start_s
    parts_s = {name: round(seconds, 2) for name, seconds in watched.clock.calls.items()}
    trials = sum(len(finished.trials) for finished in study.rounds)
    report("search.ppo8000_s", round(total_s, 1), "s", at_most(120), trials=trials, parts_s=parts_s)
    bookkeeping_ms = 1e3 * (total_s - sum(watched.clock.calls.values())) / trials
    report("search.bookkeeping_ms", round(bookkeeping_ms, 2), "ms", at_most(3), trials=trials)


def near_target(lab: TableLab, target_ns: int) -> None:
    """Measure how many samples are near the target by reward, as in the paper's Figure 6."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    for reward in (SoftReward(), HardReward()):
        name = reward.name
        trials = sample(lab, settings(target_ns, reward=reward), SAMPLES)
        ratios = np.array([latency_ns(trial) for trial in trials]) / target_ns
        near = float(np.mean(np.abs(ratios - 1) <= NEAR))
        report(f"search.{name}_near_t", round(near, 3), "share", None, samples=SAMPLES, seed=0)
        accuracies = np.array([trial.accuracy for trial in trials], dtype=np.float64)
        axes.scatter(ratios, accuracies, s=8, alpha=0.5, label=f"{name} ({near:.0%} near T)")
    axes.axvline(1, color="grey", linewidth=1)
    axes.set(xlabel="latency / T", ylabel="accuracy", title="Samples by reward, as Figure 6")
    axes.legend()
    FIGURE_6.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE_6)
    plt.close(figure)


def resume_equal(path: Path, lab: TableLab, target_ns: int) -> None:
    """Kill a search in a process of its own at times spread over its length, and compare."""
    chosen, samples = settings(target_ns, seed=1), KILLED_ROUNDS * ROUND_SIZE
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
        expected = search(Path(whole), lab, chosen, samples).rounds
        command = [
            sys.executable,
            "-m",
            "tests.bench.bench_search",
            str(path),
            killed,
            str(target_ns),
        ]
        for kill in range(1, KILLS + 1):
            with subprocess.Popen(command) as child:
                try:
                    _wait_for_rounds(Path(killed), kill * KILLED_ROUNDS // (KILLS + 1), child)
                finally:
                    child.kill()
        interrupted = len(read_study(Path(killed)).rounds)
        subprocess.run(command, check=True, timeout=DEADLINE_S)
        rounds = read_study(Path(killed)).rounds
    equal = sum(resumed == whole for resumed, whole in zip(rounds, expected, strict=False))
    report(
        "search.resume_equal",
        round(equal / max(len(rounds), len(expected)), 4),
        "share",
        exactly(1),
        kills=KILLS,
        rounds=len(expected),
        finished_at_last_kill=interrupted,
    )


def _wait_for_rounds(directory: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    """Wait until the child has finished so many rounds in all."""
    deadline_s = time.monotonic() + DEADLINE_S
    while len(read_rounds(directory / JOURNAL)[0]) < count:
        if child.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"the search to be killed ended before round {count}")
        time.sleep(0.05)


def search(
    directory: Path, lab: TableLab, chosen: StudySettings, samples: int, by: Watched | None = None
) -> Study:
    """Search with the product's own loop, with its journal and without measurements."""
    strategy = make_strategy(chosen.strategy, SPACE, chosen.seed)
    watched = by or Watched(strategy, lab)
    with open_study(directory, chosen) as study:
        run_search(
            study,
            watched,
            watched,
            watched,
            LoopSettings(rounds=samples // chosen.round_size, max_measured_share=0),
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
        return study


def sample(lab: TableLab, chosen: StudySettings, samples: int) -> list[Trial]:
    with tempfile.TemporaryDirectory() as directory:
        study = search(Path(directory), lab, chosen, samples)
    return [trial for finished in study.rounds for trial in finished.trials]


def settings(
    target_ns: int,
    strategy: StrategyName = StrategyName.PPO,
    seed: int = 0,
    reward: Reward | None = None,
) -> StudySettings:
    chosen = reward or SoftReward()
    return table_settings(strategy, target_ns, reward=chosen, round_size=ROUND_SIZE, seed=seed)


def latency_ns(trial: Trial) -> int:
    assert trial.latency is not None
    return trial.latency.latency_ns


def killed_search(path: str, directory: str, target_ns: str) -> None:
    torch.set_num_threads(1)
    samples = KILLED_ROUNDS * ROUND_SIZE
    search(Path(directory), TableLab.of(Path(path)), settings(int(target_ns), seed=1), samples)


if __name__ == "__main__":
    killed_search(*sys.argv[1:]) if sys.argv[1:] else main()
