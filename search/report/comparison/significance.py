"""Whether strategies do better than random search by more than chance explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.stats import PermutationMethod, mannwhitneyu

from search.report.comparison.groups import Group
from search.report.drawing.arrays import FloatArray
from search.study.settings import StrategyName

LEVEL = 0.05
RANDOM = StrategyName.RANDOM.value
OF_THE_STRATEGY = ("strategy", "ppo")  # settings in which a strategy may differ from random
RESAMPLES = 9_999  # where there are no more ways than these to deal out the seeds, all of them


@dataclass(frozen=True, eq=False)
class Against:
    """A group's hypervolumes against those of random search, all else being equal.

    share_above: of all pairs of a seed of the one and a seed of the other, in which the group
    is above; ties count half. p: two-sided, times the number of groups that are tested at once
    (Bonferroni); None where the seeds are too few for any p below LEVEL.
    """

    group: Group
    random: Group
    share_above: float
    p: float | None


def against_random(groups: Sequence[Group], hypervolumes: Sequence[FloatArray]) -> list[Against]:
    """By the Mann-Whitney U test, as a permutation test; hypervolumes: of each group those of
    its studies. Seeds are taken as unpaired: one seed leads two strategies to different
    networks. Where it is that of their trainings too, what both have in common makes the test
    err on the side of doubt."""
    pairs = list(_pairs(groups, hypervolumes))
    return [
        Against(
            group,
            random,
            float(mannwhitneyu(ours, theirs).statistic) / (len(ours) * len(theirs)),
            _p(ours, theirs, len(pairs)),
        )
        for group, random, ours, theirs in pairs
    ]


def _p(ours: FloatArray, theirs: FloatArray, comparisons: int) -> float | None:
    least = 2 / comb(len(ours) + len(theirs), len(ours))
    if comparisons * least >= LEVEL:
        return None
    method = PermutationMethod(RESAMPLES, rng=np.random.default_rng(0))
    return min(1.0, comparisons * float(mannwhitneyu(ours, theirs, method=method).pvalue))


def in_words(tested: Sequence[Against], samples: int) -> str:
    """In one sentence; "" where nothing was tested."""
    if not tested:
        return ""
    times = f", p times the {len(tested)} comparisons" if len(tested) > 1 else ""
    return (
        f"Hypervolume at {samples} samples against random search (Mann-Whitney U over seeds, "
        f"two-sided{times}): {'; '.join(map(_finding, tested))}."
    )


def _finding(against: Against) -> str:
    label = against.group.label
    seeds = f"its {len(against.group.studies)} and random's {len(against.random.studies)} seeds"
    if against.p is None:
        return f"{label}: {seeds} are too few to tell"
    if against.p >= LEVEL:
        verdict = "is not told apart from it"
    else:
        verdict = "is above it" if against.share_above > 0.5 else "is below it"
    return (
        f"{label} {verdict} (above in {against.share_above:.0%} of the pairs of {seeds}, "
        f"p = {against.p:.2g})"
    )


def _pairs(
    groups: Sequence[Group], hypervolumes: Sequence[FloatArray]
) -> Iterator[tuple[Group, Group, FloatArray, FloatArray]]:
    """Each group and that of random search that is like it in all else, and the
    hypervolumes of both."""
    known = list(zip(groups, hypervolumes, strict=True))
    for random, theirs in known:
        if random.settings["strategy"] != RANDOM:
            continue
        for group, ours in known:
            if group is not random and _rest(group) == _rest(random):
                yield group, random, ours, theirs


def _rest(group: Group) -> dict[str, str]:
    return {k: v for k, v in group.settings.items() if k not in OF_THE_STRATEGY}
