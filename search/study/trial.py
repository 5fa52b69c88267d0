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
