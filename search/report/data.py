"""What a report is written from: plain values, no storage and no lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latency_models.estimate import LatencyEstimate, Source
from search.architecture import Architecture
from search.choose import front
from search.combined import CombinedEstimate
from search.trial import Trial

FloatArray = NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class ReportData:
    """settings: what the study was started with, label to text.
    trials: of all rounds, in order; of an architecture's trials the last one counts.
    measurements: how many networks the search had measured; calibration: how many before it.
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
    targets: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.target_latency_ns <= 0:
            raise ValueError(f"a target latency of {self.target_latency_ns} ns: it must be above 0")

    def latest(self) -> list[Trial]:
        """One trial for each architecture, the newest, in the order they first appeared."""
        return list({trial.architecture: trial for trial in self.trials}.values())

    def measured_front(self) -> list[Trial]:
        """The front drawn from measurements alone, fastest first."""
        return front(trial for trial in self.latest() if is_measured(trial))


def on_each_target(latency: LatencyEstimate) -> tuple[LatencyEstimate, ...]:
    """What a latency on several targets was combined of; of one target's, nothing."""
    return latency.parts if isinstance(latency, CombinedEstimate) else ()


def is_measured(trial: Trial) -> bool:
    return trial.latency is not None and trial.latency.source is Source.MEASURED
