"""The noise of accuracies: how much an accuracy depends on the seed of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from scipy.special import stdtrit

from search.study.trial import Trial

INTERVAL_LEVEL = 0.9  # of intervals of accuracies, as of the lab's estimates


@dataclass(frozen=True)
class AccuracyNoise:
    """The repeatability of a study's accuracies.

    Attributes:
        deviation: Standard deviation of one evaluation's accuracy over seeds, from 0 to 1.
        degrees: Number of degrees of freedom that the deviation was estimated from.
    """

    deviation: float
    degrees: int

    def standard_error(self, trial: Trial) -> float:
        """Return the standard error of the accuracy of a trial, from 0 to 1."""
        return self.deviation / math.sqrt(evaluations(trial))

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
    squares = sum((a - fmean(accuracies)) ** 2 for accuracies in repeated for a in accuracies)
    return AccuracyNoise(math.sqrt(squares / degrees), degrees)


def evaluations(trial: Trial) -> int:
    """Return the number of evaluations that the accuracy of a trial is the mean of."""
    return max(1, len(trial.accuracies))


def within_noise(front: Sequence[Trial], noise: AccuracyNoise | None) -> list[bool]:
    """Return for each trial on a front whether noise explains how it got there.

    It does if the trial may be more accurate than the next faster one because of seeds alone. The
    faster network may then be as accurate.

    Args:
        front: The trials on a front, fastest first.
        noise: The noise of their accuracies, or None if it is not known.
    """
    if noise is None:
        return [False] * len(front)
    return [False] * min(1, len(front)) + [
        noise.explains((slower.accuracy or 0.0) - (faster.accuracy or 0.0), slower, faster)
        for faster, slower in pairwise(front)
    ]
