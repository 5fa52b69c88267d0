from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.estimate import Source
from search.latency.selection import affordable, allowance, choose, contenders, split
from search.space.architecture import Architecture
from search.study.combined_latency import Combination
from search.study.front import front, may_be_on_front
from search.study.pareto import hypervolume, reference_point
from search.study.settings import SearchTarget
from search.study.trial import Trial, is_open
from tests.search.fakes import estimate


def architecture(number: int) -> Architecture:
    return Architecture(stem_channels=number, blocks=(), head_channels=8)


def predicted(
    number: int,
    accuracy: float = 0.5,
    latency_ns: int = 1000,
    relative_width: float = 0.2,
    reward: float | None = None,
) -> Trial:
    return Trial(
        architecture(number),
        round=0,
        accuracy=accuracy,
        latency=estimate(latency_ns, relative_width=relative_width),
        reward=accuracy if reward is None else reward,
    )


def measured(number: int, accuracy: float = 0.5, latency_ns: int = 1000) -> Trial:
    latency = estimate(latency_ns, Source.MEASURED, 0.02)
    return Trial(architecture(number), 0, accuracy, latency, accuracy, measurement_id=f"m{number}")


def failed(number: int, accuracy: float | None) -> Trial:
    latency = estimate(1000)
    return Trial(architecture(number), 0, accuracy, latency, accuracy, failure="it failed")


@st.composite
def some_trials(draw: st.DrawFn) -> list[Trial]:
    """Of distinct architectures, of all sorts."""
    trials = []
    for number in draw(st.lists(st.integers(0, 12), unique=True)):
        accuracy = draw(st.integers(1, 4)) / 4
        latency_ns = draw(st.integers(1, 5)) * 1000
        sort = draw(st.sampled_from(["predicted", "measured", "failed", "without accuracy"]))
        if sort == "predicted":
            width = draw(st.sampled_from([0.0, 0.1, 0.8]))
            trials.append(predicted(number, accuracy, latency_ns, width))
        elif sort == "measured":
            trials.append(measured(number, accuracy, latency_ns))
        else:
            trials.append(failed(number, accuracy if sort == "failed" else None))
    return trials


counts = st.integers(0, 5)


@given(some_trials(), some_trials(), counts, counts, counts, st.integers(0, 9))
def test_as_many_as_asked_for_none_twice_none_measured(
    trials: list[Trial], known: list[Trial], top: int, uncertain: int, at_random: int, seed: int
) -> None:
    def draw() -> list[Trial]:
        rng = np.random.default_rng(seed)
        return choose(trials, known, top_k=top, uncertain_k=uncertain, random_k=at_random, rng=rng)

    chosen = draw()
    assert all(trial in trials for trial in chosen)
    assert all(t.measurement_id is None and t.failure is None for t in chosen)
    assert len({t.architecture for t in chosen}) == len(chosen)
    open_ones = [t for t in trials if t.measurement_id is None and t.failure is None]
    assert len(chosen) == min(top + uncertain + at_random, len(open_ones))
    assert draw() == chosen


def test_the_best_by_reward_come_first() -> None:
    trials = [predicted(i, reward=r) for i, r in enumerate([0.3, 0.9, 0.1, 0.8])]
    chosen = choose(trials, [], top_k=2, uncertain_k=0, random_k=0, rng=np.random.default_rng(0))
    assert [t.reward for t in chosen] == [0.9, 0.8]


def test_the_uncertain_one_is_the_least_certain_near_the_front() -> None:
    hopeless = predicted(1, accuracy=0.1, latency_ns=9000, relative_width=1.0)
    close = predicted(2, accuracy=0.5, latency_ns=1050, relative_width=0.3)
    certain = predicted(3, accuracy=0.5, latency_ns=1040, relative_width=0.1)
    [chosen] = choose(
        [hopeless, certain, close],
        [measured(4, accuracy=0.5, latency_ns=1000)],
        top_k=0,
        uncertain_k=1,
        random_k=0,
        rng=np.random.default_rng(0),
    )
    assert chosen is close


def test_uncertain_ones_add_to_those_chosen_before_them() -> None:
    known = [measured(1, 0.5, 1000), measured(2, 0.9, 5000), measured(3, 0.1, 9000)]
    best = predicted(4, accuracy=0.8, latency_ns=2000, reward=0.9)
    much_like_it = predicted(5, accuracy=0.79, latency_ns=2010, reward=0.5)
    elsewhere = predicted(6, accuracy=0.6, latency_ns=1500, reward=0.1)
    chosen = choose(
        [elsewhere, much_like_it, best],
        known,
        top_k=1,
        uncertain_k=2,
        random_k=0,
        rng=np.random.default_rng(0),
    )
    assert chosen == [best, elsewhere, much_like_it]


def test_chance_reaches_every_candidate() -> None:
    trials = [predicted(i) for i in range(5)]
    reached = {
        choose(trials, [], top_k=0, uncertain_k=0, random_k=1, rng=np.random.default_rng(seed))[
            0
        ].architecture
        for seed in range(100)
    }
    assert len(reached) == 5


@given(some_trials())
def test_what_is_on_the_front_may_be_on_it(trials: list[Trial]) -> None:
    on_front = front(trials)
    possible = may_be_on_front(trials)
    assert all(trial in possible for trial in on_front)
    for trial in trials:
        excluded = trial.reward is not None and trial not in possible
        assert not excluded or any(
            other.accuracy >= trial.accuracy  # type: ignore[operator]
            and other.latency.upper_ns < trial.latency.lower_ns  # type: ignore[union-attr]
            for other in possible
        )


def test_contenders_come_by_what_they_may_add_to_the_hypervolume() -> None:
    known = [measured(1, 0.5, 1000), measured(2, 0.9, 5000), measured(3, 0.1, 9000)]
    much = predicted(4, accuracy=0.8, latency_ns=2000, reward=0.1)
    little = predicted(5, accuracy=0.55, latency_ns=1900, reward=0.9)
    nothing_but_in_luck = predicted(6, accuracy=0.5, latency_ns=1050, reward=0.5)
    beyond_it = predicted(7, accuracy=0.5, latency_ns=3000)
    broken = failed(8, accuracy=1.0)
    trials = [*known, nothing_but_in_luck, little, much, beyond_it, broken]
    assert contenders(trials) == [much, nothing_but_in_luck, little]
    assert contenders([*known, beyond_it]) == contenders([broken]) == []


@given(some_trials())
def test_contenders_are_all_that_may_be_on_the_front_and_can_be_measured(
    trials: list[Trial],
) -> None:
    sound = [trial for trial in trials if trial.failure is None]
    wanted = contenders(trials)
    assert len(wanted) == len(set(wanted))
    assert set(wanted) == set(filter(is_open, may_be_on_front(sound)))


@given(some_trials())
def test_each_next_contender_adds_most_to_those_before_it(trials: list[Trial]) -> None:
    sound = [trial for trial in trials if trial.failure is None]
    if not sound:
        return
    points = [(t.accuracy or 0, t.latency.latency_ns if t.latency else 0) for t in sound]
    reference = reference_point(*zip(*points, strict=True))
    front = [p for p, t in zip(points, sound, strict=True) if t.measurement_id]

    def volume(more: list[Trial]) -> float:
        lower = [(t.accuracy or 0, t.latency.lower_ns if t.latency else 0) for t in more]
        accuracies, latencies_ns = zip(*front, *lower, strict=True) if front or lower else ((), ())
        return hypervolume(accuracies, latencies_ns, *reference)

    ordered = contenders(trials)
    for place, trial in enumerate(ordered):
        before, after = ordered[:place], ordered[place:]
        best = max(volume([*before, other]) for other in after)
        assert volume([*before, trial]) == pytest.approx(best)


@given(some_trials(), st.floats(1, 3))
def test_in_wider_intervals_more_may_be_on_the_front(trials: list[Trial], factor: float) -> None:
    possible = may_be_on_front(trials)
    wider = may_be_on_front(trials, factor)
    assert all(trial in wider for trial in possible)
    assert may_be_on_front(trials, 1.0) == possible


@given(some_trials(), st.fractions(0, 1))
def test_the_allowance_never_lets_more_than_the_share_be_tried(
    trials: list[Trial], share: Fraction
) -> None:
    tried = sum(t.measurement_id is not None or t.failure == "it failed" for t in trials)
    tried -= sum(t.accuracy is None for t in trials)
    more = allowance(trials, float(share))
    assert more >= 0
    assert more == 0 or tried + more <= share * len(trials) + Fraction(1, 10**9)


@pytest.mark.parametrize("n", range(30))
def test_a_split_adds_up_and_favours_the_best(n: int) -> None:
    top_k, uncertain_k, random_k = split(n)
    assert top_k + uncertain_k + random_k == n
    assert top_k >= uncertain_k >= random_k >= 0
    assert n < 2 or uncertain_k
    assert n < 3 or random_k


@given(st.lists(st.floats(0.1, 100), max_size=8), st.floats(0, 2000))
def test_at_the_mean_cost_so_far_what_is_affordable_stays_within_the_budget(
    costs_s: list[float], budget_s: float
) -> None:
    trials = [replace(measured(i), device_s=cost_s) for i, cost_s in enumerate(costs_s)]
    more = affordable([*trials, predicted(99), failed(100, 0.5)], budget_s)
    if not trials:
        assert more == (budget_s > 0)
        return
    expected_s = sum(costs_s) / len(costs_s)
    assert more == 0 or sum(costs_s) + more * expected_s <= budget_s * (1 + 1e-9)
    assert sum(costs_s) + (more + 1) * expected_s >= budget_s * (1 - 1e-9)


TARGETS = (SearchTarget("phone", 2000), SearchTarget("board", 2000))


@st.composite
def trials_on_two_targets(draw: st.DrawFn) -> list[Trial]:
    trials = []
    for number in range(draw(st.integers(0, 10))):
        accuracy = draw(st.integers(1, 4)) / 4
        width = draw(st.sampled_from([0.0, 0.1, 0.8]))
        parts = [estimate(draw(st.integers(1, 5)) * 1000, relative_width=width) for _ in TARGETS]
        combined = Combination(TARGETS).combine(parts)
        trials.append(Trial(architecture(number), 0, accuracy, combined, accuracy))
    return trials


def on_targets(trial: Trial, bound: str) -> list[int]:
    assert trial.latency is not None
    return [getattr(part, bound) for part in trial.latency.parts]


def is_as_good(one: Trial, other: Trial, bound: str, against: str) -> bool:
    assert one.accuracy is not None
    assert other.accuracy is not None
    pairs = zip(on_targets(one, bound), on_targets(other, against), strict=True)
    return one.accuracy >= other.accuracy and all(a <= b for a, b in pairs)


@given(trials_on_two_targets())
def test_the_front_of_separate_targets_is_what_no_other_beats_on_all(trials: list[Trial]) -> None:
    on_front = front(trials, separate_targets=True)
    for trial in trials:
        better = [
            other
            for other in trials
            if is_as_good(other, trial, "latency_ns", "latency_ns")
            and not is_as_good(trial, other, "latency_ns", "latency_ns")
        ]
        assert (trial in on_front) == (not better)
    combined = [trial.latency.latency_ns for trial in on_front if trial.latency is not None]
    assert combined == sorted(combined)


@given(trials_on_two_targets(), st.sampled_from([1.0, 1.5]))
def test_what_may_be_on_the_front_of_separate_targets_is_kept(
    trials: list[Trial], widening: float
) -> None:
    possible = may_be_on_front(trials, widening, separate_targets=True)
    assert all(trial in possible for trial in front(trials, separate_targets=True))
    for trial in trials:
        sure = [
            other
            for other in trials
            if other.accuracy is not None
            and trial.accuracy is not None
            and other.accuracy >= trial.accuracy
            and all(
                a < b
                for a, b in zip(
                    on_targets(other, "upper_ns"), on_targets(trial, "lower_ns"), strict=True
                )
            )
        ]
        if widening == 1:
            assert (trial in possible) == (not sure)
    assert set(contenders(trials, separate_targets=True)) == set(
        may_be_on_front(trials, separate_targets=True)
    )
    assert set(may_be_on_front(trials, separate_targets=True)) <= set(possible)


def test_a_network_that_is_fast_on_one_target_only_is_measured_for_the_separate_front() -> None:
    combination = Combination(TARGETS)

    def on_both(number: int, *latencies_ns: int) -> Trial:
        latency = combination.combine([estimate(ns, relative_width=0.02) for ns in latencies_ns])
        return Trial(architecture(number), 0, 0.5, latency, 0.5)

    balanced, one_sided = on_both(1, 2000, 2000), on_both(2, 1000, 4000)
    trials = [balanced, one_sided, on_both(3, 3000, 4500)]
    assert contenders(trials) == [balanced]
    assert contenders(trials, separate_targets=True) == [balanced, one_sided]
