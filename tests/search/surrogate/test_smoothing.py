from __future__ import annotations

from dataclasses import replace

import pytest

from search.repeats import with_repeats
from search.space.architecture import Architecture
from search.space.zoo import ZOO
from search.study.settings import StudySettings, SurrogateSettings
from search.study.trial import Trial, own_accuracy
from search.surrogate.smoothing import smoothed
from tests.search import fakes
from tests.search.surrogate.additive import SPACE, networks, trained_accuracy

MIN_TRAINED = 20
Trials = dict[Architecture, Trial]


def settings(surrogate: SurrogateSettings | None) -> StudySettings:
    return fakes.settings(space=SPACE.name, surrogate=surrogate)


SMOOTHING = settings(SurrogateSettings(min_trained=MIN_TRAINED))


def trials(count: int, reward: float | None = 0.5) -> Trials:
    return {a: fakes.trial(a, trained_accuracy(a), reward=reward) for a in networks(count)}


def test_a_study_without_a_surrogate_keeps_its_accuracies() -> None:
    assert smoothed(trials(50), {}, settings(None)) == {}


@pytest.mark.parametrize(("count", "changed"), [(MIN_TRAINED - 1, 0), (MIN_TRAINED, MIN_TRAINED)])
def test_nothing_is_smoothed_before_enough_networks_are_trained(count: int, changed: int) -> None:
    assert len(smoothed(trials(count), {}, SMOOTHING)) == changed


def test_both_accuracies_and_the_reward_for_the_smoothed_one_are_kept() -> None:
    for architecture, trial in smoothed(trials(50), {}, SMOOTHING).items():
        assert trial.trained_accuracy == own_accuracy(trial) == trained_accuracy(architecture)
        assert trial.accuracy is not None
        assert trial.accuracy != trial.trained_accuracy
        assert trial.latency is not None
        reward = SMOOTHING.reward.value(
            trial.accuracy, trial.latency.latency_ns, SMOOTHING.target_ns
        )
        assert trial.reward == reward


def test_trials_of_the_study_are_learned_from_but_not_returned() -> None:
    known = trials(60)
    new = {a: known.pop(a) for a in list(known)[:10]}
    changed = smoothed(new, known, SMOOTHING)
    assert changed.keys() == new.keys()
    everything = smoothed(known | new, {}, SMOOTHING)
    assert changed == {a: everything[a] for a in new}


def test_smoothing_again_changes_nothing() -> None:
    once = trials(50)
    once |= smoothed(once, {}, SMOOTHING)
    assert smoothed(once, {}, SMOOTHING) == {}


def test_a_missing_reward_stays_missing_and_strangers_are_left_alone() -> None:
    stranger = fakes.trial(ZOO["mobilenet-v2"])
    failed = replace(fakes.trial(networks(60)[-1], None), reward=None)
    new = trials(50, reward=None) | {stranger.architecture: stranger, failed.architecture: failed}
    changed = smoothed(new, {}, SMOOTHING)
    assert len(changed) == 50
    assert {trial.reward for trial in changed.values()} == {None}


def test_further_evaluations_are_added_to_the_trained_accuracy_and_smoothed_less() -> None:
    new = trials(50)
    smooth = new | smoothed(new, {}, SMOOTHING)
    first = networks(1)[0]
    own = trained_accuracy(first)
    repeated = with_repeats(smooth[first], [own, own], SMOOTHING)
    assert repeated.accuracies == (own,) * 3
    assert repeated.accuracy == pytest.approx(own)
    assert repeated.trained_accuracy is None
    again = smoothed(smooth | {first: repeated}, {}, SMOOTHING)
    assert again.keys() == {first}
    assert again[first].trained_accuracy == pytest.approx(own)
    before, after = smooth[first].accuracy, again[first].accuracy
    assert before is not None
    assert after is not None
    assert after - own == pytest.approx((before - own) / 2)
