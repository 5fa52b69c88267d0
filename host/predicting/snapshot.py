"""The snapshot of one target: its predictor at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from latency_models.predictor import Predictor
from latlab.domain.estimate import Refit


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """How much the database holds about a target.

    Attributes:
        measurements: How many measurements there are to learn from, usable or not.
        decisions: How often one of them was excluded or included.
    """

    measurements: int
    decisions: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fitted predictor, which never changes.

    Attributes:
        predictor: It predicts with numpy and scipy alone.
        measurements: How many measurements it has learned from.
        fit_s: How long the fit took.
        stored: What the database held when it was read for the fit.
        set_aside: Why it could not learn from some measurements, by their ids.
        network_hashes: Hashes of the kernels of each network that was measured when it was fitted,
            set aside or not. The kernels themselves would take much memory.
        refit: What the history keeps of the fit; None before that is known.
    """

    predictor: Predictor
    measurements: int
    fit_s: float
    stored: StoredCounts
    set_aside: Mapping[str, str] = field(default_factory=dict)
    network_hashes: frozenset[int] = frozenset()
    refit: Refit | None = None

    def knows(self, measurements: int) -> bool:
        """Return whether so many measurements were stored when it was fitted."""
        return self.stored.measurements >= measurements
