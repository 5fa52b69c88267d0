"""A test of strategies against random search over seeds."""

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
# A strategy may differ from random search in these.
STRATEGY_SETTINGS = ("strategy", "ppo", "round size", "objectives")
RESAMPLES = 9_999  # the test is exact if the seeds can be dealt out in no more ways


@dataclass(frozen=True, eq=False)
class Against:
    """A group's hypervolumes compared with those of random search under the same settings.

    Attributes:
        group: The group that is compared.
        random: The group of random searches.
        share_above: The share of pairs of seeds in which the group's hypervolume is higher;
            ties count half.
        p: Two-sided p-value, multiplied by the number of comparisons (Bonferroni). None if
            the seeds are too few for any p-value below LEVEL.
    """

    group: Group
    random: Group
    share_above: float
    p: float | None


def against_random(groups: Sequence[Group], hypervolumes: Sequence[FloatArray]) -> list[Against]:
    """Compare groups with random search by the Mann-Whitney U test, as a permutation test.

    Seeds count as unpaired, because one seed leads two strategies to different networks. If
    it is the seed of their trainings too, the test is conservative.

    Args:
        groups: All groups.
        hypervolumes: For each group the hypervolumes of its studies.
    """
    pairs = list(_pairs(groups, hypervolumes))
    return [
        Against(
            group,
            random,
            float(mannwhitneyu(values, random_values).statistic)
            / (len(values) * len(random_values)),
            _p(values, random_values, len(pairs)),
        )
        for group, random, values, random_values in pairs
    ]


def _p(values: FloatArray, random_values: FloatArray, comparisons: int) -> float | None:
    least = 2 / comb(len(values) + len(random_values), len(values))
    if comparisons * least >= LEVEL:
        return None
    method = PermutationMethod(RESAMPLES, rng=np.random.default_rng(0))
    return min(1.0, comparisons * float(mannwhitneyu(values, random_values, method=method).pvalue))


def in_words(tested: Sequence[Against], samples: int) -> str:
    """Return what comparisons with random search found, in one sentence; "" without any."""
    if not tested:
        return ""
    times = f", p multiplied by the {len(tested)} comparisons" if len(tested) > 1 else ""
    return (
        f"Hypervolume at {samples} samples compared with random search (Mann-Whitney U test over "
        f"seeds, two-sided{times}): {'; '.join(map(_finding, tested))}."
    )


def _finding(against: Against) -> str:
    label = against.group.label
    seeds = f"its {len(against.group.studies)} and random's {len(against.random.studies)} seeds"
    if against.p is None:
        return f"{label}: {seeds} are too few for a test"
    if against.p >= LEVEL:
        verdict = "does not differ significantly"
    else:
        verdict = "is higher" if against.share_above > 0.5 else "is lower"
    return (
        f"{label} {verdict} (higher in {against.share_above:.0%} of the pairs of {seeds}, "
        f"p = {against.p:.2g})"
    )


def _pairs(
    groups: Sequence[Group], hypervolumes: Sequence[FloatArray]
) -> Iterator[tuple[Group, Group, FloatArray, FloatArray]]:
    """Yield each group, the random searches with the same settings, and both's hypervolumes."""
    known = list(zip(groups, hypervolumes, strict=True))
    for random, random_values in known:
        if random.settings["strategy"] != RANDOM:
            continue
        for group, values in known:
            if group is not random and _other_settings(group) == _other_settings(random):
                yield group, random, values, random_values


def _other_settings(group: Group) -> dict[str, str]:
    return {k: v for k, v in group.settings.items() if k not in STRATEGY_SETTINGS}
