"""Decide whether a program is slower than another by more than a limit, visit after visit.

A test that is repeated after each visit, at a fixed interval, errs far more often than it says. The
test here may be looked at after every batch, and stopped at any time: it is a test by betting
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86,
2024), applied to a bounded score of symmetric observations, as the sequential signed-rank tests of
Howard and Pimentel ("The uniform general signed rank test and its design sensitivity", Biometrika
108, 2021) are.

An observation is the median log ratio of BATCH consecutive pairs of visits. If its distribution is
symmetric about the logarithm of the limit, its score, the distance from that, in units of its own
noise and cut off at 1, has the mean 0. The noise comes from the distances of pairs from the medians
of their batches, up to the present one, which do not depend on the sign of the observation. A
gambler who bets a fixed share of the capital on positive scores then has a capital that is a
martingale: by Ville's inequality it ever reaches 1 / ERROR times its beginning with a probability
of at most ERROR. If it does, the program is slower. Another gambler bets on negative scores. The
shares are mixed. All ratios at which neither gambler would have won are the interval.

Log ratios of pairs depend on each other where a mood of the machine changes the ratio itself.
Batches reduce that. The dependence that remains between neighbouring batches is estimated. The
logarithm of the capital that is needed grows by the factor by which the dependence raises the
expected square of the sum of scores. It never shrinks, so the test of independent batches stays
valid. Scores that are all cut off at 1 do not vary, and so cannot depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

BATCH = 6  # pairs; an even number, so that each program comes first in half of them
ERROR = 0.05  # on either side
CONFIDENCE = 1 - 2 * ERROR

# A score is 1 from so many standard deviations of a batch's median on. With more, the test needs
# more pairs; with less, it knows only signs.
_CUT = 2.0
_SHARES = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
_LEAST_NOISE = 1e-4  # of a log ratio: visits that agree exactly say no more than this
# By how much a median of many values spreads more than their mean.
_RISE_OF_MEDIAN = math.sqrt(math.pi / 2)
# From a median absolute deviation to the standard deviation of a median of BATCH values.
_NOISE_OF_MEDIAN = 1.4826 * _RISE_OF_MEDIAN / math.sqrt(BATCH)
_MOST_CORRELATION = 0.8
_STEPS = 40  # of the bisection for a bound

# Before so many batches, the noise is not known well enough to give up.
FLOOR_BATCHES = 10
_HOPE = 0.01  # the test is given up if a verdict in time is less probable

FloatArray = NDArray[np.float64]


class Verdict(str, Enum):
    """The answer whether a program is slower than another by more than a limit allows."""

    NOT_SLOWER = "not slower"
    SLOWER = "slower"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """The ratio of two latencies, as far as it is known.

    Attributes:
        ratio: The median over batches of pairs.
        lower: The lower bound of the interval that holds the ratio with 90 % confidence at any
            time; 0 while there is none.
        upper: The upper bound; infinity while there is none.
        pairs: The number of clean pairs.
    """

    ratio: float
    lower: float
    upper: float
    pairs: int


class SequentialTest:
    """Decides whether a ratio lies above or below a limit. It may be asked after every pair."""

    def __init__(self, limit: float) -> None:
        """Begin without pairs.

        Args:
            limit: The ratio that is tested, above 0.
        """
        self._log_limit = math.log(limit)
        self._pairs: list[float] = []
        self._deviations: list[float] = []
        self._medians: list[float] = []
        self._noises: list[float] = []

    @property
    def batches(self) -> int:
        """The number of whole batches."""
        return len(self._medians)

    def add(self, ratios: Sequence[float]) -> None:
        """Add the ratios of clean pairs, in the order in which they were measured."""
        self._pairs += map(math.log, ratios)
        while len(self._pairs) >= BATCH * (self.batches + 1):
            self._add_batch(np.array(self._pairs[BATCH * self.batches :][:BATCH]))

    def verdict(self) -> Verdict:
        """Return what is known by now. Later pairs may not be added to change a decision."""
        if self._is_excluded(self._log_limit, 1):
            return Verdict.SLOWER
        is_excluded = self._is_excluded(self._log_limit, -1)
        return Verdict.NOT_SLOWER if is_excluded else Verdict.UNDECIDED

    def estimate(self) -> RatioEstimate:
        """Return the ratio with its interval. There is no ratio, but NaN, without a batch."""
        if not self.batches:
            return RatioEstimate(math.nan, 0.0, math.inf, len(self._pairs))
        middle = float(np.median(self._medians))
        lower, upper = middle - self._reach(middle, 1), middle + self._reach(middle, -1)
        bounds = math.exp(lower), math.exp(upper)
        return RatioEstimate(math.exp(middle), *bounds, len(self._pairs))

    def floor(self, batches: float) -> float:
        """Return the noise floor: how far from 1 a limit must be to be decided for equal programs.

        It is infinite while there is no interval.

        Args:
            batches: How many batches there will be in the end.
        """
        if not self.batches:
            return math.inf
        later = self._repeated(max(1, int(batches / self.batches)))
        middle = float(np.median(self._medians))
        reach = max(later._reach(middle, 1), later._reach(middle, -1))
        # Widths of intervals shrink with the square root of the number of observations.
        return math.exp(reach * math.sqrt(later.batches / max(batches, later.batches)))

    def is_hopeless(self, batches: float) -> bool:
        """Return whether more pairs, up to so many batches, will hardly decide.

        That is so if a decision has a probability of less than _HOPE, given how uncertain the
        ratio is by now: its predictive power, by which trials in medicine are ended early
        (Spiegelhalter, Freedman and Blackburn, Controlled Clinical Trials 7, 1986).
        """
        if self.batches < FLOOR_BATCHES or self.verdict() is not Verdict.UNDECIDED:
            return False
        if batches <= self.batches:
            return True
        noise = _LEAST_NOISE + _RISE_OF_MEDIAN * float(np.std(self._medians))
        change = noise * math.sqrt(1 / self.batches - 1 / batches)
        last = NormalDist(float(np.median(self._medians)), change)  # the median of all batches
        floor = math.log(self.floor(batches))
        slower, faster = self._log_limit + floor, self._log_limit - floor
        return 1 - last.cdf(slower) + last.cdf(faster) < _HOPE

    def _repeated(self, times: int) -> SequentialTest:
        """Return the test as it would be if the batches so far came again and again."""
        later = SequentialTest(math.exp(self._log_limit))
        later._medians, later._noises = self._medians * times, self._noises * times
        return later

    def _add_batch(self, pairs: FloatArray) -> None:
        median = float(np.median(pairs))
        self._deviations += np.abs(pairs - median).tolist()
        noise = _NOISE_OF_MEDIAN * float(np.median(self._deviations)) + _LEAST_NOISE
        self._medians.append(median)
        self._noises.append(noise)

    def _is_excluded(self, log_ratio: float, side: int) -> bool:
        """Return whether the ratio is not this one, nor any below it for side 1 or above for -1."""
        if not self.batches:
            return False
        medians, noises = np.array(self._medians), np.array(self._noises)
        scores = side * np.clip((medians - log_ratio) / (_CUT * noises), -1, 1)
        log_capitals = np.log1p(np.outer(_SHARES, scores)).sum(axis=1)
        log_capital = float(np.logaddexp.reduce(log_capitals)) - math.log(len(_SHARES))
        return log_capital >= _dependence_factor(scores) * math.log(1 / ERROR)

    def _reach(self, middle: float, side: int) -> float:
        """Return how far the interval reaches from its middle, below for side 1 and above for -1.

        It is infinite where no ratio can be excluded yet.
        """
        inside = 0.0
        outside = float(np.ptp(self._medians)) + 2 * _CUT * max(self._noises)
        if not self._is_excluded(middle - side * outside, side):
            return math.inf
        for _ in range(_STEPS):
            half = (inside + outside) / 2
            is_excluded = self._is_excluded(middle - side * half, side)
            inside, outside = (inside, half) if is_excluded else (half, outside)
        return outside


def _dependence_factor(scores: FloatArray) -> float:
    """Return by how much dependence between neighbours raises the square of the sum of scores."""
    if len(scores) < 3:
        return 1.0
    centred = scores - scores.mean()
    square = float(centred @ centred)
    if square == 0:
        return 1.0
    correlation = min(max(float(centred[1:] @ centred[:-1]) / square, 0.0), _MOST_CORRELATION)
    rise = (1 + correlation) / (1 - correlation) - 1
    return 1 + rise * square / float(scores @ scores)
