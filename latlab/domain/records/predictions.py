"""The facts that predictions of a target rest on, and predictions of uploaded programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from latlab.domain.estimate import LatencyEstimate, Refit
from latlab.domain.target import TargetStatus


class QueryMode(Enum):
    """Which answers a client takes for a program.

    Attributes:
        MEASURED: Stored measurements only.
        PREDICTED: Predictions only.
        AUTO: The stored measurement if there is one, else a prediction.
    """

    MEASURED = "measured"
    PREDICTED = "predicted"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class ProgramPredictions:
    """The answer for programs that the lab has.

    Attributes:
        estimates: One for each program, in the order of the request.
        queued_jobs: The ids of the jobs that were queued because an interval was too wide.
    """

    estimates: tuple[LatencyEstimate, ...]
    queued_jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetDetails:
    """A target and what predictions for it rest on.

    Attributes:
        status: The target and its state.
        refits: The refits of its predictor, the newest first, a hundred at most.
        noise_floor: The share by which two measurements of one network usually differ; None until
            some networks were measured repeatedly.
        newest_age_s: The age of the newest measurement; None if there is none.
        kernel_kinds: The kinds of kernels that were measured, with the number of distinct kernels
            of each.
        interval_coverage: The share of the networks measured since the last refit whose measured
            latency lay inside the 90 % interval that was predicted; None if there are none.
    """

    status: TargetStatus
    refits: tuple[Refit, ...]
    noise_floor: float | None
    newest_age_s: float | None
    kernel_kinds: Mapping[str, int]
    interval_coverage: float | None
