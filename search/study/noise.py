"""The noise of accuracies: how much an accuracy depends on the seed of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from search.study.combined_latency import on_each_target
from search.study.trial import Trial

INTERVAL_LEVEL = 0.9  # of intervals of accuracies, as of the lab's estimates
NEAREST = 0.005  # to 0 and 1: accuracies beyond vary as one at this distance does


@dataclass(frozen=True)
class AccuracyNoise:
    """The repeatability of a study's accuracies.

    Accuracies near 0 and 1 vary less than those in between. Their log-odds, log(p / (1 - p)),
    vary nearly alike, so the noise is kept as that of log-odds.

    Attributes:
        log_odds: Standard deviation of the log-odds of one evaluation's accuracy over seeds.
        degrees: Number of degrees of freedom that it was estimated from.
    """

    log_odds: float
    degrees: int

    def deviation(self, accuracy: float) -> float:
        """Return the standard deviation of one evaluation of a network of this accuracy."""
        return self.log_odds * _slope(accuracy)

    def standard_error(self, trial: Trial) -> float:
        """Return the standard error of the accuracy of a trial, from 0 to 1."""
        return self.deviation(trial.accuracy or 0.0) / math.sqrt(evaluations(trial))

    def half_width(self, trial: Trial) -> float:
        """Return half the width of the interval of 90 % of a trial's accuracy, from 0 to 1."""
        return self.quantile * self.standard_error(trial)

    def explains(self, difference: float, one: Trial, other: Trial) -> bool:
        """Return whether two accuracies may differ so much because of their seeds alone.

        The difference is then within its interval of 90 % around zero.
        """
        error = math.hypot(self.standard_error(one), self.standard_error(other))
        return abs(difference) <= self.quantile * error

    @property
    def quantile(self) -> float:
        """Half the width of an interval of 90 %, in standard errors."""
        return float(stdtrit(self.degrees, (1 + INTERVAL_LEVEL) / 2))


def accuracy_noise(trials: Iterable[Trial]) -> AccuracyNoise | None:
    """Return the noise of a study's accuracies, pooled over the networks evaluated again.

    The first evaluation of each network is left out, because it is part of why the network was
    evaluated again: among many networks, those that were lucky seem best.

    Args:
        trials: The newest trial of each architecture.

    Returns:
        The noise, or None if no network was evaluated again at least twice.
    """
    repeated = [trial.accuracies[1:] for trial in trials if len(trial.accuracies) > 2]
    degrees = sum(len(accuracies) - 1 for accuracies in repeated)
    if not degrees:
        return None
    squares = 0.0
    for accuracies in repeated:
        mean = fmean(accuracies)
        squares += sum(((each - mean) / _slope(mean)) ** 2 for each in accuracies)
    return AccuracyNoise(math.sqrt(squares / degrees), degrees)


def _slope(accuracy: float) -> float:
    """Return how much an accuracy changes with its log-odds, also at 0 and 1 a little."""
    within = min(max(accuracy, NEAREST), 1 - NEAREST)
    return within * (1 - within)


def evaluations(trial: Trial) -> int:
    """Return the number of evaluations that the accuracy of a trial is the mean of."""
    return max(1, len(trial.accuracies))


def within_noise(
    front: Sequence[Trial], noise: AccuracyNoise | None, *, separate_targets: bool = False
) -> list[bool]:
    """Return for each trial on a front whether noise explains how it got there.

    It does if the trial may be more accurate than a faster one because of seeds alone. The faster
    network may then be as accurate.

    Args:
        front: The trials on a front.
        noise: The noise of their accuracies, or None if it is not known.
        separate_targets: Whether a faster trial is faster on each target, as for the front.
    """
    if noise is None:
        return [False] * len(front)
    latencies_ns = [_latencies_ns(trial, separate_targets) for trial in front]
    return [
        any(
            other is not trial
            and all(a <= b for a, b in zip(others_ns, ns, strict=True))
            and noise.explains((trial.accuracy or 0.0) - (other.accuracy or 0.0), trial, other)
            for other, others_ns in zip(front, latencies_ns, strict=True)
        )
        for trial, ns in zip(front, latencies_ns, strict=True)
    ]


def _latencies_ns(trial: Trial, separate_targets: bool) -> list[int]:
    """Return the latencies that count for the front; none for a trial without a latency."""
    if trial.latency is None:
        return []
    parts = on_each_target(trial.latency) if separate_targets else (trial.latency,)
    return [part.latency_ns for part in parts]
