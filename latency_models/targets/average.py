"""The average of two predictions of each network, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CLAIM_SAMPLES = 30  # how many left-out errors the claimed precisions count for
_LEAST_WEIGHT = 0.02  # of a predictor: a few errors do not show that it is worthless

_LEAST_HALF_WIDTH = 1e-3  # of the logarithm: no prediction is more precise


@dataclass(frozen=True)
class Transferred:
    """Predicted latencies and their 90 % intervals, as (networks,) arrays in ns, all above 0."""

    latency_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray

    def widened(self, half_widths: FloatArray) -> Transferred:
        """Return the predictions with the uncertainty of the sources' latencies added.

        Args:
            half_widths: (networks,) half the width of the 90 % interval of the logarithm of a
                source's latency.
        """
        factors = [
            np.exp(np.hypot(np.log(margin), half_widths))
            for margin in (self.latency_ns / self.lower_ns, self.upper_ns / self.latency_ns)
        ]
        return Transferred(
            self.latency_ns, self.latency_ns / factors[0], self.latency_ns * factors[1]
        )

    def rows(self, rows: Sequence[int]) -> Transferred:
        """Return the predictions of some of the networks."""
        chosen = np.array(rows, dtype=np.int64)
        return Transferred(self.latency_ns[chosen], self.lower_ns[chosen], self.upper_ns[chosen])

    @classmethod
    def joined(cls, parts: Sequence[Transferred]) -> Transferred:
        """Return the predictions of all parts, in their order."""
        return cls(
            np.concatenate([np.empty(0), *(part.latency_ns for part in parts)]),
            np.concatenate([np.empty(0), *(part.lower_ns for part in parts)]),
            np.concatenate([np.empty(0), *(part.upper_ns for part in parts)]),
        )


def blend(
    one: Transferred, other: Transferred, trust: float = 1.0
) -> tuple[Transferred, FloatArray]:
    """Average two predictions of each network, weighted by their precisions.

    The logarithms are averaged, and so are the widths of their intervals: both may be wrong in the
    same way.

    Args:
        one: Predictions with their intervals.
        other: Others of the same networks.
        trust: The precision of the first counts so many times: see `trust_in`.

    Returns:
        The average, and the (networks,) weights of the first.
    """
    logs = np.log([one.latency_ns, other.latency_ns])
    half_widths = np.log([one.upper_ns / one.lower_ns, other.upper_ns / other.lower_ns]) / 2
    precisions = 1 / np.maximum(half_widths, _LEAST_HALF_WIDTH) ** 2
    precisions[0] *= trust
    weights = precisions / precisions.sum(axis=0)
    log = (weights * logs).sum(axis=0)
    spread = (weights * half_widths).sum(axis=0)
    return Transferred(np.exp(log), np.exp(log - spread), np.exp(log + spread)), weights[0]


def trust_in(one: Transferred, other: Transferred, measured_ns: FloatArray) -> float:
    """Return how many times the precision of the first of two predictors should count.

    Which one is better does not follow from what they say of themselves. So the errors on measured
    networks, each predicted from the others, give the weight with which the average errs least.
    (Wolpert, "Stacked generalization", 1992, is the idea.) While there are few networks, it stays
    near the weight that follows from the precisions.

    Args:
        one: The predictions of measured networks, each from the others, at least one.
        other: Those of the other predictor.
        measured_ns: (networks,) the measured latencies.
    """
    _, weights = blend(one, other)
    claimed = float(weights.mean())
    errors = np.log(other.latency_ns / measured_ns)
    differences = np.log(other.latency_ns / one.latency_ns)
    usual_square = float(np.mean(differences**2))
    if usual_square == 0.0:  # they agree
        return 1.0
    evidence = float(errors @ differences) / usual_square
    weight = (evidence + _CLAIM_SAMPLES * claimed) / (len(measured_ns) + _CLAIM_SAMPLES)
    return _odds(weight) / _odds(claimed)


def _odds(weight: float) -> float:
    kept = min(max(weight, _LEAST_WEIGHT), 1 - _LEAST_WEIGHT)
    return kept / (1 - kept)
