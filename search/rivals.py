"""Compare the networks that a study found with published ones at equal measured latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from latlab.domain.estimate import milliseconds_text
from latlab.domain.precision import Precision
from search.accuracy.accuracy import Score
from search.finalists import Finalist
from search.space.zoo import NAMES

LEVEL = 0.9  # of intervals, as for latencies


@dataclass(frozen=True)
class Difference:
    """By how much one network is more accurate than another one.

    Attributes:
        value: The difference between the accuracies, from -1 to 1.
        lower: The lower bound of its interval.
        upper: The upper bound of its interval.
        method: What the interval rests on, in words.
    """

    value: float
    lower: float
    upper: float
    method: str

    def __str__(self) -> str:
        """Return the difference in percentage points, as in "+1.3 [+0.4 to +2.2] points"."""
        value, lower, upper = (
            f"{100 * each:+.1f}" for each in (self.value, self.lower, self.upper)
        )
        return f"{value} [{lower} to {upper}] points"


@dataclass(frozen=True)
class Verdict:
    """The answer to whether a found network beats a published one at equal latency.

    Attributes:
        rival: The name of the published network.
        sentence: The answer.
        found: Id of the found network; None if none can be compared.
        difference: By how much the found network is more accurate; None likewise.
    """

    rival: str
    sentence: str
    found: str | None = None
    difference: Difference | None = None


def verdicts(finalists: Sequence[Finalist], precision: Precision) -> list[Verdict]:
    """Compare the found networks with each published network that was trained beside them.

    The found network is the slowest one that is not slower than the published one.

    Args:
        finalists: Trained and measured networks of a study, and published ones.
        precision: The precision in which they are compared.
    """
    compared = [finalist for finalist in finalists if finalist.precision is precision]
    found = [finalist for finalist in compared if finalist.architecture not in NAMES]
    return [
        _verdict(NAMES[rival.architecture], rival, found)
        for rival in compared
        if rival.architecture in NAMES
    ]


def difference(found: Sequence[Score], rival: Sequence[Score]) -> Difference:
    """Return by how much one network is more accurate than another one, with an interval.

    With several trainings of each, the interval is Welch's, over the trainings. With one, it is
    the adjusted Wald interval for proportions: paired where both were scored on the same images
    (Bonett and Price 2012), else for independent samples (Agresti and Caffo 2000).

    Args:
        found: The scores of the one network's trainings, at least one.
        rival: The scores of the other network's trainings, at least one.
    """
    if min(len(found), len(rival)) > 1:
        accuracies = ([score.accuracy for score in each] for each in (found, rival))
        if (between := _between_trainings(*accuracies)) is not None:
            return between
    one, other = found[0], rival[0]
    if one.right and len(one.right) == len(other.right):
        return _paired(one, other)
    return _unpaired(one, other)


def _between_trainings(found: Sequence[float], rival: Sequence[float]) -> Difference | None:
    """Return Welch's interval; None if no training differs from another one."""
    if not np.ptp(found) and not np.ptp(rival):
        return None
    low, high = stats.ttest_ind(found, rival, equal_var=False).confidence_interval(LEVEL)
    method = f"{len(found)} and {len(rival)} trainings with different seeds, Welch's t"
    return Difference(float(np.mean(found) - np.mean(rival)), float(low), float(high), method)


def _paired(found: Score, rival: Score) -> Difference:
    pairs = list(zip(found.right, rival.right, strict=True))
    only_found, only_rival = pairs.count(("1", "0")) + 1, pairs.count(("0", "1")) + 1
    count = len(pairs) + 2
    centre = (only_found - only_rival) / count
    variance = ((only_found + only_rival) / count - centre**2) / count
    method = f"the same {len(pairs):,} images, paired"
    return _around(centre, variance, found.accuracy - rival.accuracy, method)


def _unpaired(found: Score, rival: Score) -> Difference:
    shares = [(score.accuracy * score.images + 1) / (score.images + 2) for score in (found, rival)]
    variance = sum(
        share * (1 - share) / (score.images + 2)
        for share, score in zip(shares, (found, rival), strict=True)
    )
    method = f"{found.images:,} and {rival.images:,} images, not paired"
    return _around(shares[0] - shares[1], variance, found.accuracy - rival.accuracy, method)


def _around(centre: float, variance: float, value: float, method: str) -> Difference:
    """Return the interval around a centre, which is drawn towards zero, with the value in it."""
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * variance**0.5
    lower, upper = max(-1.0, centre - half), min(1.0, centre + half)
    return Difference(value, min(lower, value), max(upper, value), method)


def _verdict(name: str, rival: Finalist, found: Sequence[Finalist]) -> Verdict:
    if rival.latency is None or not rival.scores:
        lacking = "measured latency" if rival.scores else "accuracy"
        return Verdict(
            name, f"Whether the search beats {name} is not known: {name} has no {lacking} yet."
        )
    most_ns = rival.latency.latency_ns
    candidates = [
        (each.latency.latency_ns, each)
        for each in found
        if each.latency is not None and each.scores and each.latency.latency_ns <= most_ns
    ]
    rival_ms = f"{milliseconds_text(most_ns)} ms"
    if not candidates:
        return Verdict(
            name,
            f"No network of the study that was trained and measured is as fast as {name} "
            f"({rival_ms}), so they cannot be compared at equal latency: train more of them.",
        )
    latency_ns, nearest = max(candidates, key=lambda pair: pair[0])
    by = difference(nearest.scores, rival.scores)
    if by.lower > 0:
        relation = "beats"
    elif by.upper < 0:
        relation = "is beaten by"
    else:
        relation = "is not shown to differ in accuracy from"
    precision = "" if rival.precision is Precision.FP32 else f" in {rival.precision.value}"
    sentence = (
        f"At equal measured latency{precision}, the found network {nearest.architecture.id} "
        f"({milliseconds_text(latency_ns)} ms) {relation} {name} ({rival_ms}): the difference in "
        f"accuracy is {by} ({LEVEL:.0%} interval over {by.method})."
    )
    return Verdict(name, sentence, nearest.architecture.id, by)


def verdict_record(verdict: Verdict, precision: Precision) -> dict[str, Any]:
    """Return a verdict in JSON's types."""
    by = verdict.difference
    return {
        "rival": verdict.rival,
        "precision": precision.value,
        "found": verdict.found,
        "difference": by and by.value,
        "lower": by and by.lower,
        "upper": by and by.upper,
        "method": by and by.method,
        "sentence": verdict.sentence,
    }
