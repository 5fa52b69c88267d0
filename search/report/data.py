"""What a report is written from: plain values, no storage and no lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latency_models.estimate import LatencyEstimate, Source
from search.trial import Trial

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PredictorEvaluation:
    """Networks held out of the predictor, as measured and as predicted: parallel arrays.
    `scores` by name, in the words and units they shall be read in; `repeat_noise` the
    coefficient of variation of repeated measurements, which no predictor can beat."""

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
    params: int
    multiply_adds: int
    latency: LatencyEstimate | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """settings: what the study was started with, label to text.
    measurements: networks measured in the search; calibration: those before it."""

    study: str
    settings: Mapping[str, str]
    trials: Sequence[Trial]
    target: str
    target_latency_ns: int
    measurements: int
    calibration: int
    evaluation: PredictorEvaluation | None = None
    zoo: Sequence[ZooRow] = ()


def is_measured(trial: Trial) -> bool:
    return trial.latency is not None and trial.latency.source is Source.MEASURED
