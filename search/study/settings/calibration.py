"""The settings of a calibration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CalibrationSettings:
    """The measurements on a target that precede predictions of its latencies.

    Attributes:
        networks: Number of networks of the space to have measured in all.
        transfer: Rely on predictors of the lab's other targets, which needs fewer networks and
            no probe networks.
    """

    networks: int = 28
    transfer: bool = False
