"""A small space, and an accuracy and a lab without training and without devices."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from latlab.domain.errors import NotFound
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.failure import Failure, FailureKind
from search.accuracy.accuracy import AccuracyFailure
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.space import Reference, Space
from search.study.settings import (
    ProxyBudget,
    SearchTarget,
    StrategyName,
    StudySettings,
    TrainingSource,
)
from search.study.trial import Trial

TARGET_ID = "0123456789abcdef"
TARGET_NS = 1_000_000
DEVICE_S = 3.0  # of each measurement


def small_space() -> Space:
    """Two blocks; 2,304 spellings of some hundred architectures."""
    return Space(
        name="small",
        stem_channels=16,
        head_channels=64,
        references=(Reference(16, 1, 1), Reference(24, 2, 2)),
        convolutions=(("conv", 1), ("mbconv", 3)),
        kernel_sizes=(3, 5),
        se_ratios=(0.0,),
        skips=("identity", "none"),
        filters=(1.0, 1.5),
        layers=(0, 1, 2),
    )


def settings(**changes: object) -> StudySettings:
    values: dict[str, object] = {
        "space": "small",
        "strategy": StrategyName.RANDOM,
        "targets": (SearchTarget(TARGET_ID, TARGET_NS),),
        "accuracy": TrainingSource("digits", ProxyBudget(epochs=2)),
        "round_size": 6,
    }
    return StudySettings(**(values | changes))  # type: ignore[arg-type]


def estimate(
    latency_ns: int, source: Source = Source.LOOKUP, relative_width: float = 0.2
) -> LatencyEstimate:
    half = int(latency_ns * relative_width / 2)
    return LatencyEstimate(
        latency_ns, latency_ns - half, latency_ns + half, source, coverage=1, samples=8, age_s=0
    )


def true_accuracy(architecture: Architecture) -> float:
    return random.Random(architecture.id).uniform(0.1, 0.9)


def true_latency_ns(architecture: Architecture) -> int:
    return int(TARGET_NS * random.Random(f"latency {architecture.id}").uniform(0.3, 3))


Fails = Callable[[Architecture], bool]


def never(architecture: Architecture) -> bool:
    return False


@dataclass
class FakeAccuracy:
    """`asked` keeps every architecture that it was ever asked for."""

    fails: Fails = never
    asked: list[Architecture] = field(default_factory=list)

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        self.asked += architectures
        on_done(len(architectures))
        return [
            AccuracyFailure("no accuracy") if self.fails(a) else true_accuracy(a)
            for a in architectures
        ]


@dataclass
class FakeLab:
    """Predicts `bias` times the true latency, in an interval of ±10 %. `is_away` is asked at
    each call of measure, of the number of calls before it; `asked` has none of these.
    `predicted` has every network of every prediction.
    `disturbs` is asked of each network, and the same number. The correction of measured
    latencies grows by `learns` with each call of measure."""

    fails: Fails = never
    bias: float = 1.03
    is_away: Callable[[int], bool] = lambda call: False
    disturbs: Callable[[Architecture, int], bool] = lambda architecture, call: False
    learns: float = 0.0
    asked: list[Architecture] = field(default_factory=list)
    calls: int = 0
    measured: dict[str, Architecture] = field(default_factory=dict)
    predicted: list[Architecture] = field(default_factory=list)

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        self.predicted += architectures
        return [estimate(int(true_latency_ns(a) * self.bias)) for a in architectures]

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Measured | Failure]:
        on_done(len(architectures))
        self.calls += 1
        if self.is_away(self.calls - 1):
            return [Failure(FailureKind.DEVICE_LOST, "unplugged")] * len(architectures)
        self.asked += architectures
        return list(map(self._measure, architectures))

    def _measure(self, architecture: Architecture) -> Measured | Failure:
        if self.fails(architecture):
            return Failure(FailureKind.CRASHED, "no latency")
        if self.disturbs(architecture, self.calls - 1):
            return Failure(FailureKind.DISTURBED, "1 of 9 visits were clean")
        measurement_id = f"measurement of {architecture.id}"
        self.measured[measurement_id] = architecture
        return Measured(self._latency(architecture), measurement_id, DEVICE_S)

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        if unknown := [id_ for id_ in measurement_ids if id_ not in self.measured]:
            raise NotFound(f"no measurement {unknown[0]!r}")
        return [self._latency(self.measured[id_]) for id_ in measurement_ids]

    def _latency(self, architecture: Architecture) -> LatencyEstimate:
        correction = 1 + self.learns * self.calls
        latency_ns = round(correction * true_latency_ns(architecture))
        return estimate(latency_ns, Source.MEASURED, 0.02)


def trial(
    architecture: Architecture,
    accuracy: float | None = 0.5,
    latency: LatencyEstimate | None = None,
    reward: float | None = 0.5,
    **changes: object,
) -> Trial:
    latency = latency or estimate(TARGET_NS)
    return Trial(architecture, 0, accuracy, latency, reward, **changes)  # type: ignore[arg-type]
