"""What a report is written from: plain values, no storage and no lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from latlab.domain.estimate import LatencyEstimate, Source
from search.report.drawing.arrays import FloatArray
from search.space.architecture import Architecture
from search.space.counts import Counts
from search.space.deployment import Deployment
from search.space.zoo import PublishedResult
from search.study.front import front
from search.study.trial import Trial, best_by_reward


@dataclass(frozen=True, eq=False)
class PredictorEvaluation:
    """Networks held out of the predictor, as measured and as predicted: parallel arrays.

    scores: by name, as they shall be read.
    repeat_noise: the relative standard error of a measurement, which no predictor can beat.
    """

    measured_ns: FloatArray
    predicted_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray
    scores: Mapping[str, str] = field(default_factory=dict)
    repeat_noise: float | None = None


@dataclass(frozen=True)
class ZooRow:
    """A published network for comparison; `latency` on this study's target, if asked for."""

    name: str
    architecture: Architecture
    latency: LatencyEstimate | None = None


@dataclass(frozen=True)
class Result:
    """A row of the table of results: a network as it is here, where it can be built (its
    size, accuracy, latency on the target), and as published, where it was.

    searched: by a machine, which the paper calls "auto"; else "manual".
    """

    model: str
    searched: bool
    size: Counts | None = None
    accuracy: float | None = None
    latency: LatencyEstimate | None = None
    published: PublishedResult | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """settings: what the study was started with, label to text.
    trials: of all rounds, in order; of an architecture's trials the last one counts.
    measurements: how many networks the search had measured; calibration: how many before it.
    accuracy: what it is of, for people. trained: those of its networks trained in full.
    targets: the names of several, in the order of their latencies' parts; else none.
    """

    study: str
    settings: Mapping[str, str]
    trials: Sequence[Trial]
    target: str
    target_latency_ns: int
    measurements: int
    calibration: int
    evaluation: PredictorEvaluation | None = None
    zoo: Sequence[ZooRow] = ()
    accuracy: str = "the proxy task"
    trained: Sequence[Result] = ()
    targets: Sequence[str] = ()
    deployment: Deployment = field(default_factory=Deployment)

    def __post_init__(self) -> None:
        if self.target_latency_ns <= 0:
            raise ValueError(f"a target latency of {self.target_latency_ns} ns: it must be above 0")

    def latest(self) -> list[Trial]:
        """One trial for each architecture, the newest, in the order they first appeared."""
        return list({trial.architecture: trial for trial in self.trials}.values())

    def measured_front(self) -> list[Trial]:
        """The front drawn from measurements alone, fastest first."""
        return front(trial for trial in self.latest() if is_measured(trial))

    def best(self) -> Trial | None:
        """Of the measured front, by reward."""
        return next(iter(best_by_reward(self.measured_front(), 1)), None)


def reward_of(trial: Trial) -> float:
    return float("-inf") if trial.reward is None else trial.reward


def on_each_target(latency: LatencyEstimate) -> tuple[LatencyEstimate, ...]:
    """What a latency on several targets was combined of; of one target's, nothing."""
    return latency.parts


def is_measured(trial: Trial) -> bool:
    return trial.latency is not None and trial.latency.source is Source.MEASURED
