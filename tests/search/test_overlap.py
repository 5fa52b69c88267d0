"""A round is measured while the next one is evaluated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.errors import Unavailable
from latlab.domain.estimate import Source
from latlab.domain.failure import Failure
from search.accuracy.accuracy import AccuracyFailure, Repeat
from search.latency.lab import Measured
from search.round_choice import MIN_AT_ONCE, at_once, first_of_front, left_to_measure
from search.space.architecture import Architecture
from search.strategies.strategy import Strategy, make_strategy
from search.study.settings import LoopSettings, StrategyName
from search.study.study import Study, open_study, read_study
from search.study.trial import Trial, is_measured
from tests.search.fakes import FakeAccuracy, FakeLab, settings, small_space, true_latency_ns
from tests.search.test_loop import (
    DiesWhenFull,
    Killed,
    Run,
    Scripted,
    many_runs,
    network,
    spoken_of,
)
from tests.search.test_repeats import NoisyAccuracy

WAIT_S = 60.0
OVERLAPPING = LoopSettings(rounds=4, overlaps=True)


def asked(study: Study) -> list[list[Trial]]:
    return [list(finished.trials) for finished in study.rounds if finished.asked]


def test_the_strategy_is_told_predictions_and_measurements_are_rounds_of_their_own(
    tmp_path: Path,
) -> None:
    strategy = Scripted(10**6)
    front = Run(tmp_path, strategy, loop=OVERLAPPING).search()
    study = read_study(tmp_path)
    assert strategy.told == asked(study)
    assert all(t.latency and t.latency.source is Source.LOOKUP for r in asked(study) for t in r)
    assert [finished.asked for finished in study.rounds[:8]] == [True, False] * 4
    for finished in study.rounds:
        for trial in finished.trials:
            assert trial.round == finished.index
            assert is_measured(trial) == (not finished.asked)
            if is_measured(trial):
                assert trial.latency is not None
                assert trial.latency.latency_ns == true_latency_ns(trial.architecture)
                assert trial.predicted is not None
                assert trial.predicted.source is Source.LOOKUP
    assert front


def test_as_many_are_measured_after_a_round_as_in_it_where_nothing_overlaps(tmp_path: Path) -> None:
    for overlaps, measured in ((True, 12), (False, 16)):  # a third of 36, and of 48
        loop = LoopSettings(4, final_share=0, overlaps=overlaps)
        run = Run(tmp_path / str(overlaps), Scripted(10**6), loop=loop)
        run.search()
        assert spoken_of(run, f"round 4 of 4: 48 candidates, {measured} measured")
        assert len(run.lab.asked) <= 16


@dataclass
class Meeting:
    """Where a measurement of one round and the evaluation of the next wait for each other."""

    both: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=WAIT_S))


@dataclass
class MeetingAccuracy(FakeAccuracy):
    meeting: Meeting = field(default_factory=Meeting)
    rounds: int = 0

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        self.rounds += 1
        if self.rounds > 1:
            self.meeting.both.wait()
        return super().evaluate(architectures, on_done)


@dataclass
class MeetingLab(FakeLab):
    """It waits in its first `most` calls."""

    meeting: Meeting = field(default_factory=Meeting)
    most: int = 3

    def measure(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[Measured | Failure]:
        if self.calls < self.most:
            self.meeting.both.wait()
        return super().measure(architectures, on_done)


def test_the_next_round_is_evaluated_meanwhile(tmp_path: Path) -> None:
    meeting = Meeting()
    run = Run(
        tmp_path,
        Scripted(10**6),
        MeetingAccuracy(meeting=meeting),
        MeetingLab(meeting=meeting),
        OVERLAPPING,
    )
    run.search()
    assert run.accuracy.rounds == 4  # type: ignore[attr-defined]
    assert run.lab.calls > 3


@dataclass
class MeetingAgain(NoisyAccuracy):
    meeting: Meeting = field(default_factory=Meeting)

    def evaluate_again(
        self, repeats: Sequence[Repeat], on_done: Callable[[int], None]
    ) -> list[float | AccuracyFailure]:
        if not self.repeated:
            self.meeting.both.wait()
        return super().evaluate_again(repeats, on_done)


def test_contenders_are_measured_while_candidates_are_evaluated_again(tmp_path: Path) -> None:
    meeting = Meeting()
    accuracy, lab = MeetingAgain(meeting=meeting), MeetingLab(meeting=meeting, most=1)
    loop = LoopSettings(1, overlaps=True)
    run = Run(tmp_path, Scripted(10**6), accuracy, lab, loop)
    run.search()
    assert accuracy.repeated
    *_, repeated, measured = read_study(tmp_path).rounds[:3]
    assert all(trial.repeats and not is_measured(trial) for trial in repeated.trials)
    assert all(map(is_measured, measured.trials))
    assert any(trial.repeats for trial in measured.trials)
    assert first_of_front(read_study(tmp_path), loop) == []
    assert spoken_of(run, "at the end: 12 candidates")


@many_runs
@given(
    distinct=st.integers(1, 60),
    seed=st.integers(0, 9),
    share=st.floats(0, 1),
    failing=st.sampled_from([0, 1]),
    away=st.sets(st.integers(0, 6)),
)
def test_nothing_is_evaluated_or_measured_twice_and_no_more_than_allowed(
    tmp_path_factory: pytest.TempPathFactory,
    distinct: int,
    seed: int,
    share: float,
    failing: int,
    away: set[int],
) -> None:
    directory = tmp_path_factory.mktemp("study")
    lab = FakeLab(lambda a: a.stem_channels % 2 < failing, is_away=away.__contains__)
    loop = LoopSettings(4, share, overlaps=True)
    run = Run(directory, Scripted(distinct, seed), lab=lab, loop=loop)
    run.search()
    run.strategy = Scripted(distinct, seed)
    run.search()
    assert len(run.accuracy.asked) == len(set(run.accuracy.asked))
    assert len(run.lab.asked) == len(set(run.lab.asked))
    latest = read_study(directory).latest()
    assert len(run.lab.asked) <= share * len(latest)
    for architecture in run.lab.asked:  # a measurement is never forgotten
        assert latest[architecture].measurement_id or latest[architecture].failure


@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize("survives", [(0, 0), (1, 1), (3, 2), (4, 3), (6, 0), (7, 0)])
def test_killed_twice_and_resumed_equals_uninterrupted(
    tmp_path: Path, name: StrategyName, survives: tuple[int, int]
) -> None:
    """Killed after so many evaluations and measurements of a whole round, and again."""

    def run(directory: str) -> Run:
        strategy = make_strategy(name, small_space(), seed=0)
        return Run(tmp_path / directory, strategy, loop=OVERLAPPING)

    front = run("whole").search()
    for ended in survives:
        killed = run("killed")
        killed.progress = DiesWhenFull(ended)
        with pytest.raises(Killed):
            killed.search()
    assert run("killed").search() == front
    assert read_study(tmp_path / "killed").rounds == read_study(tmp_path / "whole").rounds


@pytest.mark.parametrize("kept", range(1, 15))
def test_resumed_after_each_round_it_goes_on_alike(tmp_path: Path, kept: int) -> None:
    """A kill between any two rounds, of which some hold measurements or repeats only."""
    warm = [network(n) for n in range(2000, 2012)]

    def run(directory: str) -> Run:
        accuracy = NoisyAccuracy()
        return Run(tmp_path / directory, Scripted(30), accuracy, loop=OVERLAPPING, warm_start=warm)

    front = run("whole").search()
    whole = read_study(tmp_path / "whole")
    last = max(finished.index for finished in whole.rounds if finished.asked)
    assert any(t.repeats and not is_measured(t) for t in whole.rounds[last + 1].trials)
    assert any(t.repeats and is_measured(t) for r in whole.rounds for t in r.trials)
    with open_study(tmp_path / "killed", whole.settings) as study:
        for finished in whole.rounds[:kept]:
            study.append(finished.trials, asked=finished.asked, statistics=finished.statistics)
    assert run("killed").search() == front
    assert read_study(tmp_path / "killed").rounds == whole.rounds


def test_a_study_of_rounds_that_hold_their_measurements_is_resumed_and_replayed(
    tmp_path: Path,
) -> None:
    Run(tmp_path, Scripted(1000), loop=LoopSettings(2)).search()
    before = read_study(tmp_path)
    assert left_to_measure(before, OVERLAPPING)[1] == []
    again = Scripted(1000)
    resumed = Run(tmp_path, again, loop=OVERLAPPING)
    resumed.search()
    study = read_study(tmp_path)
    assert study.rounds[: len(before.rounds)] == before.rounds
    assert again.told == asked(study)
    assert any(map(is_measured, again.told[0]))
    assert not any(map(is_measured, again.told[3]))


def test_an_error_of_the_lab_ends_the_search(tmp_path: Path) -> None:
    class Broken(FakeLab):
        def measure(self, *_: object) -> list[Measured | Failure]:
            raise Unavailable("the lab is gone")

    run = Run(tmp_path, Scripted(1000), lab=Broken(), loop=OVERLAPPING)
    with pytest.raises(Unavailable, match="the lab is gone"):
        run.search()
    assert [finished.asked for finished in read_study(tmp_path).rounds] == [True]


def test_an_interruption_does_not_wait_for_a_measurement(tmp_path: Path) -> None:
    ended = threading.Event()

    class Waiting(FakeLab):
        def measure(self, *_: object) -> list[Measured | Failure]:
            assert ended.wait(WAIT_S)
            return []

    class Interrupted(FakeAccuracy):
        def evaluate(
            self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
        ) -> list[float | AccuracyFailure]:
            if self.asked:
                raise Killed
            return super().evaluate(architectures, on_done)

    strategy: Strategy = Scripted(1000)
    with pytest.raises(Killed):
        Run(tmp_path, strategy, Interrupted(), Waiting(), OVERLAPPING).search()
    assert not ended.is_set()
    ended.set()


def test_a_target_that_was_away_is_asked_again_when_the_search_is_resumed(tmp_path: Path) -> None:
    loop = LoopSettings(1, overlaps=True)
    Run(tmp_path, Scripted(1000), lab=FakeLab(is_away=lambda call: True), loop=loop).search()
    study = read_study(tmp_path)
    assert len(study.rounds) == 1
    more = LoopSettings(2, overlaps=True)
    _, chosen = left_to_measure(study, more)
    assert chosen
    resumed = Run(tmp_path, Scripted(1000), loop=more)
    resumed.search()
    assert resumed.lab.asked[: len(chosen)] == [trial.architecture for trial in chosen]


@given(st.integers(0, 10**6))
def test_no_pass_at_the_end_leaves_a_few_for_another(allowed: int) -> None:
    now = at_once(allowed)
    assert allowed / 2 <= now <= allowed
    assert allowed - now == 0 or allowed - now >= MIN_AT_ONCE


def test_settings_without_overlap_leave_nothing_to_measure(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        assert left_to_measure(study, OVERLAPPING) == (0, [])
    Run(tmp_path, Scripted(1000), lab=FakeLab(is_away=lambda _: True), round_size=6).search()
    assert left_to_measure(read_study(tmp_path), LoopSettings(4)) == (0, [])
