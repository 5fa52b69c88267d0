from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from latlab.domain.precision import Precision
from search.accuracy.accuracy import Score
from search.finalists import Finalist
from search.rivals import LEVEL, difference, verdict_record, verdicts
from search.space.architecture import Architecture, Block
from search.space.zoo import ZOO
from tests.search.fakes import estimate


def scored(right: list[bool]) -> Score:
    digits = "".join("1" if each else "0" for each in right)
    return Score(digits.count("1") / len(digits), len(digits), digits)


def network(channels: int) -> Architecture:
    return Architecture(16, (Block("mbconv", 3, 3, 2, 0.25, "none", channels, 1),), 64)


def finalist(
    architecture: Architecture,
    latency_ns: int | None,
    *accuracies: float,
    precision: Precision = Precision.FP32,
) -> Finalist:
    """Return a network with an accuracy for each training, on 1,000 images."""
    scores = tuple(
        scored([number < round(1000 * accuracy) for number in range(1000)])
        for accuracy in accuracies
    )
    return Finalist(
        architecture,
        precision,
        accuracies[0] if accuracies else None,
        latency=None if latency_ns is None else estimate(latency_ns),
        scores=scores,
    )


MOBILENET = ZOO["mobilenet-v2"]
answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(answers, st.booleans())
def test_a_difference_lies_in_its_interval_and_turns_with_its_sides(
    pairs: list[tuple[bool, bool]], is_paired: bool
) -> None:
    found, rival = (scored(list(side)) for side in zip(*pairs, strict=True))
    if not is_paired:
        found = replace(found, right="")
    there, back = difference([found], [rival]), difference([rival], [found])
    assert there.value == pytest.approx(found.accuracy - rival.accuracy)
    assert -1 <= there.lower <= there.value + 1e-9
    assert there.value - 1e-9 <= there.upper <= 1
    mirrored = (-back.value, -back.upper, -back.lower)
    assert (there.value, there.lower, there.upper) == pytest.approx(mirrored)


@pytest.mark.parametrize("is_paired", [True, False])
def test_intervals_hold_the_truth_as_often_as_they_say(is_paired: bool) -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        # Some images are easy for both networks, as in truth.
        easy = rng.random(150) < 0.7
        found, rival = (easy | (rng.random(150) < share) for share in (0.5, 0.4))
        if not is_paired:
            rival = (rng.random(150) < 0.7) | (rng.random(150) < 0.4)
        one, other = scored(found.tolist()), scored(rival.tolist())
        by = difference([one], [other if is_paired else replace(other, right="")])
        held += by.lower <= 0.3 * 0.1 <= by.upper
    # Three standard deviations around the level.
    assert abs(held / 1000 - LEVEL) < 3 * math.sqrt(LEVEL * (1 - LEVEL) / 1000)


def test_the_same_images_tell_more_than_different_ones() -> None:
    found = scored([True] * 90 + [False] * 10)
    rival = scored([True] * 85 + [False] * 15)
    paired = difference([found], [rival])
    unpaired = difference([found], [replace(rival, right="")])
    assert paired.lower > 0 > unpaired.lower
    assert "paired" in paired.method
    assert "not paired" in unpaired.method


def test_trainings_with_several_seeds_decide_by_their_own_spread() -> None:
    found, rival = [0.93, 0.91, 0.92], [0.90, 0.89]
    by = difference([Score(each, 1000) for each in found], [Score(each, 1000) for each in rival])
    assert by.value == pytest.approx(0.025)
    # Welch's interval, from its textbook formula.
    variances = [np.var(each, ddof=1) / len(each) for each in (found, rival)]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 1)
    half = stats.t.ppf(0.95, freedom) * math.sqrt(sum(variances))
    assert (by.lower, by.upper) == pytest.approx((0.025 - half, 0.025 + half))
    assert "3 and 2 trainings" in by.method


def test_trainings_that_all_agree_leave_the_noise_of_the_images() -> None:
    by = difference([Score(0.9, 100)] * 2, [Score(0.8, 100)] * 2)
    assert by.value == pytest.approx(0.1)
    assert by.lower < by.value < by.upper
    assert "images" in by.method


def test_the_found_network_is_the_slowest_that_is_not_slower() -> None:
    rival = finalist(MOBILENET, 8_000_000, 0.80)
    found = [
        finalist(network(16), 5_000_000, 0.70),
        finalist(network(24), 7_900_000, 0.90),
        finalist(network(32), 8_100_000, 0.99),
        finalist(network(40), None, 0.99),
    ]
    [verdict] = verdicts([*found, rival], Precision.FP32)
    assert verdict.rival == "mobilenet-v2"
    assert verdict.found == network(24).id
    assert f"{network(24).id} (7.90 ms) beats mobilenet-v2 (8.00 ms)" in verdict.sentence
    assert "+10.0 [" in verdict.sentence
    assert "90% interval over the same 1,000 images, paired" in verdict.sentence
    record = verdict_record(verdict, Precision.FP32)
    assert record["difference"] == pytest.approx(0.1)
    assert record["lower"] > 0


@pytest.mark.parametrize(
    ("accuracy", "relation"),
    [(0.801, "is not shown to differ in accuracy from"), (0.70, "is beaten by")],
)
def test_a_verdict_claims_no_more_than_its_interval(accuracy: float, relation: str) -> None:
    rows = [finalist(network(16), 8_000_000, accuracy), finalist(MOBILENET, 8_000_000, 0.80)]
    [verdict] = verdicts(rows, Precision.FP32)
    assert relation in verdict.sentence


def test_without_latencies_there_is_no_answer() -> None:
    [verdict] = verdicts(
        [finalist(network(16), None, 0.9), finalist(MOBILENET, None, 0.8)], Precision.FP32
    )
    assert verdict.difference is None
    assert "mobilenet-v2 has no measured latency yet" in verdict.sentence
    [verdict] = verdicts([finalist(MOBILENET, 8_000_000)], Precision.FP32)
    assert "mobilenet-v2 has no accuracy yet" in verdict.sentence


def test_networks_that_are_all_slower_cannot_be_compared() -> None:
    slow = finalist(network(16), 9_000_000, 0.9)
    [verdict] = verdicts([slow, finalist(MOBILENET, 8_000_000, 0.8)], Precision.FP32)
    assert verdict.found is None
    assert "as fast as mobilenet-v2 (8.00 ms)" in verdict.sentence
    assert "train more" in verdict.sentence


def test_each_published_network_is_compared_and_none_counts_as_found() -> None:
    a1 = ZOO["mnasnet-a1"]
    rows = [
        finalist(network(16), 6_000_000, 0.85),
        finalist(MOBILENET, 8_000_000, 0.80),
        finalist(a1, 7_000_000, 0.90),
        finalist(a1, 4_000_000, 0.89, precision=Precision.INT8),
    ]
    against_mobilenet, against_a1 = verdicts(rows, Precision.FP32)
    assert against_mobilenet.found == against_a1.found == network(16).id
    assert "beats" in against_mobilenet.sentence
    assert "is beaten by mnasnet-a1" in against_a1.sentence
    [in_int8] = verdicts(rows, Precision.INT8)
    assert in_int8.found is None
