"""Candidates near the front are evaluated again with other seeds at the end of a search."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from search.accuracy.accuracy import AccuracyFailure, Repeat, RepeatableAccuracy
from search.repeats import MOST_REPEATS, near_front
from search.study.settings import LoopSettings
from search.study.study import read_study
from search.study.trial import Trial
from tests.search.fakes import (
    TARGET_NS,
    FakeAccuracy,
    FakeLab,
    estimate,
    settings,
    trial,
    true_accuracy,
)
from tests.search.test_loop import DiesWhenFull, Killed, Run, Scripted, network

NOISE = 0.05


@dataclass
class NoisyAccuracy(FakeAccuracy):
    """Each evaluation has an error of up to ±NOISE. `repeated` keeps every repeat asked for."""

    fails_again: Callable[[Repeat], bool] = lambda repeat: False
    repeated: list[Repeat] = field(default_factory=list)

    def evaluate_again(
        self, repeats: Sequence[Repeat], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        on_done(len(repeats))
        self.repeated += repeats
        return [
            AccuracyFailure("diverged") if self.fails_again(repeat) else repeated(*repeat)
            for repeat in repeats
        ]


def repeated(architecture: object, number: int) -> float:
    assert isinstance(architecture, type(network(0)))
    error = random.Random(f"{number} {architecture.id}").uniform(-NOISE, NOISE)
    return true_accuracy(architecture) + error


def searched(directory: Path, share: float = 0.5, **changes: object) -> Run:
    run = noisy(directory, share, **changes)
    run.search()
    return run


def noisy(directory: Path, share: float = 0.5, **changes: object) -> Run:
    loop = LoopSettings(rounds=4, repeat_share=share)
    values: dict[str, object] = {"accuracy": NoisyAccuracy(), "loop": loop, **changes}
    return Run(directory, Scripted(1000), **values)  # type: ignore[arg-type]


def test_the_mean_counts_and_the_reward_follows(tmp_path: Path) -> None:
    run = searched(tmp_path)
    latest = read_study(tmp_path).latest().values()
    again = [each for each in latest if each.repeats]
    assert len(again) > 2
    for each in again:
        architecture = each.architecture
        numbers = range(1, each.repeats + 1)
        assert each.accuracies == (
            true_accuracy(architecture),
            *(repeated(architecture, number) for number in numbers),
        )
        assert each.accuracy == fmean(each.accuracies)
        assert each.latency is not None
        reward = settings().reward.value(each.accuracy, each.latency.latency_ns, TARGET_NS)
        assert each.reward == reward
    assert all(each.accuracies == () for each in latest if not each.repeats)
    assert any("near the front were evaluated" in note for note in run.notes)
    assert {p.activity for p in run.progress} == {"evaluating", "evaluating again", "measuring"}


def test_the_whole_front_is_evaluated_again(tmp_path: Path) -> None:
    run = noisy(tmp_path, share=1.0, loop=LoopSettings(4, max_measured_share=1, repeat_share=1))
    front = run.search()
    assert front
    assert all(each.repeats for each in front)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(share=st.floats(0, 1), distinct=st.integers(1, 60), failing=st.sampled_from([0, 0.4, 1]))
def test_no_more_than_the_share_and_no_repeat_twice(
    tmp_path_factory: pytest.TempPathFactory, share: float, distinct: int, failing: float
) -> None:
    def fails_again(repeat: Repeat) -> bool:
        return random.Random(f"fails {repeat}").random() < failing

    directory = tmp_path_factory.mktemp("study")
    accuracy = NoisyAccuracy(fails_again=fails_again)
    run = noisy(directory, share, accuracy=accuracy)
    run.strategy = Scripted(distinct)
    run.search()
    latest = read_study(directory).latest()
    assert len(accuracy.repeated) == len(set(accuracy.repeated))
    assert len(accuracy.repeated) == sum(each.repeats for each in latest.values())
    assert len(accuracy.repeated) <= share * len(latest)
    for each in latest.values():
        made = [r for r in accuracy.repeated if r.architecture == each.architecture]
        assert each.repeats == len(made) <= MOST_REPEATS
        succeeded = sum(not fails_again(repeat) for repeat in made)
        assert len(each.accuracies) == (succeeded + 1 if succeeded else 0)

    run.strategy = Scripted(distinct)
    run.accuracy = again = NoisyAccuracy(fails_again=fails_again)
    run.search()
    assert again.repeated == []


@pytest.mark.parametrize("before_end", range(1, 6))
def test_killed_at_the_end_it_goes_on_alike(tmp_path: Path, before_end: int) -> None:
    """It is killed while it evaluates again, and while it measures afterwards."""

    def fails_again(repeat: Repeat) -> bool:
        return random.Random(f"fails {repeat}").random() < 0.3

    def run(directory: str) -> Run:
        # The share is not used up, so that more could be evaluated again after the measurements.
        loop = LoopSettings(4, final_share=1.0, repeat_share=1.0)  # measured at the end alone
        accuracy = NoisyAccuracy(fails_again=fails_again)
        return noisy(tmp_path / directory, accuracy=accuracy, loop=loop)

    whole = run("whole")
    front = whole.search()
    at_end = [progress.activity for progress in whole.progress if progress.round is None]
    assert at_end[0] == "evaluating again"
    assert at_end[-1] == "measuring"
    assert len(at_end) >= before_end
    killed = run("killed")
    killed.progress = DiesWhenFull(len(whole.progress) - before_end)
    with pytest.raises(Killed):
        killed.search()
    assert run("killed").search() == front
    assert read_study(tmp_path / "killed").rounds == read_study(tmp_path / "whole").rounds


def test_a_resumed_search_adds_its_own_share(tmp_path: Path) -> None:
    searched(tmp_path, share=0.25)
    before = sum(each.repeats for each in read_study(tmp_path).latest().values())
    run = noisy(tmp_path, loop=LoopSettings(rounds=8, repeat_share=0.25))
    run.search()
    study = read_study(tmp_path)
    assert [r.asked for r in study.rounds].count(True) == 8
    after = sum(each.repeats for each in study.latest().values())
    assert before < after <= len(study.latest()) / 4


def test_exact_accuracies_are_not_evaluated_again(tmp_path: Path) -> None:
    exact = FakeAccuracy()
    assert isinstance(NoisyAccuracy(), RepeatableAccuracy)
    assert not isinstance(exact, RepeatableAccuracy)
    run = searched(tmp_path, accuracy=exact)
    assert all(each.repeats == 0 for each in read_study(tmp_path).latest().values())
    assert not any("evaluated" in note for note in run.notes)


def at(accuracy: float, ms: float, *more: float, number: int = 0) -> Trial:
    accuracies = (accuracy, *more) if more else ()
    made = trial(network(number), fmean((accuracy, *more)), estimate(round(ms * 1e6)))
    return replace(made, accuracies=accuracies, repeats=len(more))


def test_while_the_noise_is_unknown_only_the_front_is_near() -> None:
    front = [at(0.5, 1, number=1), at(0.7, 2, number=2), at(0.75, 3, number=3)]
    behind = at(0.6999, 2.5, number=4)
    assert near_front([behind, *front]) == [front[0], front[1], front[2]]


def test_what_noise_keeps_off_the_front_is_near_and_the_least_evaluated_come_first() -> None:
    noise = 0.69, 0.71, 0.69, 0.71
    on_front = at(0.7, 2, *noise, number=1)
    within, beyond = at(0.695, 2.5, number=2), at(0.6, 2.5, number=3)
    assert near_front([on_front, within, beyond]) == [within, on_front]


def test_a_network_is_evaluated_again_a_limited_number_of_times() -> None:
    often = at(0.7, 2, *[0.7] * MOST_REPEATS)
    assert near_front([often]) == []


def test_both_networks_of_a_tie_are_near() -> None:
    """Networks of equal latency and accuracy are both on the front."""
    twins = [at(0.7, 2, number=1), at(0.7, 2, number=2)]
    assert near_front(twins) == twins


def test_a_lab_that_is_away_does_not_keep_accuracies_from_being_evaluated(tmp_path: Path) -> None:
    run = searched(tmp_path, lab=FakeLab(is_away=lambda call: True))
    assert isinstance(run.accuracy, NoisyAccuracy)
    assert run.accuracy.repeated
