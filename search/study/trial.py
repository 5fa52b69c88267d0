"""A Trial: what a search learned of one Architecture in one round."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.estimate import LatencyEstimate
from search.space.architecture import Architecture


@dataclass(frozen=True)
class Trial:
    """Immutable. `latency` is what the reward was computed from; its source says whether
    it was measured. Where it was measured, `predicted` keeps what was believed before.

    accuracy: 0 to 1, of the proxy task; None when its evaluation failed.
    latency, reward: None when there is none.
    failure: why accuracy or a measurement did not come about, in one line.
    device_s: for how long its measurement kept the device.
    disturbed: how many measurements of it came to nothing, for other work disturbed the device,
    and left it open to another.
    """

    architecture: Architecture
    round: int
    accuracy: float | None
    latency: LatencyEstimate | None
    reward: float | None
    predicted: LatencyEstimate | None = None
    measurement_id: str | None = None
    failure: str | None = None
    device_s: float = 0.0
    disturbed: int = 0


# So often a network is measured again that other work on the device has disturbed; disturbed
# once more, its measurement has failed.
MAX_DISTURBED = 2


def is_measured(trial: Trial) -> bool:
    return trial.measurement_id is not None


def is_settled(trial: Trial) -> bool:
    """Measured, or its measurement failed for good. Where the accuracy failed, none was tried;
    where the target was away, none was made."""
    return is_measured(trial) or (trial.failure is not None and trial.accuracy is not None)


def attempts(trial: Trial) -> int:
    """How many measurements of it were made, those that came to nothing included."""
    return trial.disturbed + is_settled(trial)


def is_open(trial: Trial) -> bool:
    """Whether a measurement can still tell something: there is a reward, of a prediction."""
    return trial.reward is not None and not is_settled(trial)
