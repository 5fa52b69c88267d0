from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latlab.domain.estimate import LatencyEstimate, Source
from search.latency.selection import contenders
from search.loop import Progress, measured_front, run_search
from search.space.architecture import Architecture, Block
from search.space.limits import excess, quantities
from search.strategies.strategy import Strategy, make_strategy
from search.study.front import may_be_on_front
from search.study.settings import Limits, LoopSettings, SoftReward, StrategyName, StudyError
from search.study.study import open_study, read_study
from search.study.trial import Trial, best_by_reward
from tests.search.fakes import (
    DEVICE_S,
    TARGET_NS,
    Fails,
    FakeAccuracy,
    FakeLab,
    estimate,
    settings,
    small_space,
    true_accuracy,
    true_latency_ns,
)

many_runs = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)


def network(number: int) -> Architecture:
    thousands, ones = divmod(number, 1_000)
    block = Block("conv", 1, 3, 2, 0.0, "none", 8 + thousands, 1)
    return Architecture(stem_channels=8 + ones, blocks=(block,), head_channels=8)


@dataclass
class Scripted:
    """A strategy that proposes networks drawn from the first `distinct`, duplicates too."""

    distinct: int
    seed: int = 0
    told: list[list[Trial]] = field(default_factory=list)
    learned: list[Trial] = field(default_factory=list)
    adopted: list[list[Architecture]] = field(default_factory=list)

    def ask(self, n: int) -> list[Architecture]:
        rng = random.Random(f"{self.seed} {len(self.told)}")
        return [network(rng.randrange(self.distinct)) for _ in range(n)]

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        if any(architecture.blocks[0].kernel_size != 3 for architecture in architectures):
            raise ValueError("not of this space")
        self.adopted.append(list(architectures))

    def learn(self, trials: Sequence[Trial]) -> None:
        self.learned += trials

    def tell(self, trials: Sequence[Trial]) -> None:
        self.told.append(list(trials))

    def statistics(self) -> dict[str, float]:
        return {"told": float(len(self.told))}


@dataclass
class Run:
    """One search, or a part of one, with what it said."""

    directory: Path
    strategy: Strategy
    accuracy: FakeAccuracy = field(default_factory=FakeAccuracy)
    lab: FakeLab = field(default_factory=FakeLab)
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(rounds=4))
    round_size: int = 12
    limits: dict[str, int] = field(default_factory=dict)
    warm_start: Sequence[Architecture] = ()
    notes: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def search(self) -> list[Trial]:
        made_with = settings(round_size=self.round_size, limits=Limits(**self.limits))
        with open_study(self.directory, made_with) as study:
            return run_search(
                study,
                self.strategy,
                self.accuracy,
                self.lab,
                self.loop,
                warm_start=self.warm_start,
                on_progress=self.progress.append,
                on_note=self.notes.append,
            )


def fails_for(share: float) -> Fails:
    return lambda a: random.Random(f"failure of {a.id}").random() < share


def tried(directory: Path) -> list[Trial]:
    """Of each architecture that was measured or failed to be, its newest trial."""
    latest = read_study(directory).latest().values()
    return [t for t in latest if t.measurement_id or (t.failure and t.accuracy is not None)]


def test_every_trial_says_what_was_learned_of_it(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), loop=LoopSettings(4, max_measured_share=0.2))
    run.search()
    study = read_study(tmp_path)
    assert [r.asked for r in study.rounds[:5]] == [True] * 4 + [False]
    for round in study.rounds:
        for trial in round.trials:
            assert trial.round == round.index
            assert trial.accuracy == true_accuracy(trial.architecture)
            assert trial.latency is not None
            assert trial.reward == SoftReward().value(
                trial.accuracy, trial.latency.latency_ns, TARGET_NS
            )
            if trial.measurement_id:
                assert trial.measurement_id == f"measurement of {trial.architecture.id}"
                assert trial.latency.source is Source.MEASURED
                assert trial.latency.latency_ns == true_latency_ns(trial.architecture)
                assert trial.predicted is not None
                assert trial.predicted.source is Source.LOOKUP
            else:
                assert trial.latency.source is Source.LOOKUP


def test_the_strategy_is_told_what_it_asked_for_in_order(tmp_path: Path) -> None:
    strategy = Scripted(9)  # of rounds of 12: duplicates in every round
    Run(tmp_path, strategy).search()
    asked = [list(r.trials) for r in read_study(tmp_path).rounds if r.asked]
    assert strategy.told == asked
    statistics = [r.statistics for r in read_study(tmp_path).rounds]
    assert statistics[:4] == [{"told": number} for number in range(1, 5)]
    assert not any(statistics[4:])  # the strategy is not told about the end
    again = Scripted(9)
    for trials in asked:
        assert again.ask(12) == [trial.architecture for trial in trials]
        again.tell(trials)


@many_runs
@given(distinct=st.integers(1, 40), seed=st.integers(0, 99), failing=st.sampled_from([0, 0.3, 1]))
def test_nothing_is_evaluated_or_measured_twice(
    tmp_path_factory: pytest.TempPathFactory, distinct: int, seed: int, failing: float
) -> None:
    fails = fails_for(failing)
    run = Run(
        tmp_path_factory.mktemp("study"),
        Scripted(distinct, seed),
        FakeAccuracy(fails),
        FakeLab(lambda a: random.Random(f"lab {a.id}").random() < failing),
    )
    run.search()
    run.strategy = Scripted(distinct, seed)
    run.loop = LoopSettings(rounds=6)
    run.search()
    assert len(run.accuracy.asked) == len(set(run.accuracy.asked))
    assert len(run.lab.asked) == len(set(run.lab.asked))
    assert not any(fails(a) for a in run.lab.asked)


@many_runs
@given(
    rounds=st.integers(1, 5),
    round_size=st.integers(1, 15),
    distinct=st.integers(1, 60),
    share=st.floats(0, 1),
    final_share=st.floats(0, 1),
    failing=st.sampled_from([0, 0.5]),
)
def test_no_more_than_the_share_is_ever_measured(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: int,
    round_size: int,
    distinct: int,
    share: float,
    final_share: float,
    failing: float,
) -> None:
    directory = tmp_path_factory.mktemp("study")
    Run(
        directory,
        Scripted(distinct),
        lab=FakeLab(fails_for(failing)),
        loop=LoopSettings(rounds, share, final_share),
        round_size=round_size,
    ).search()
    seen: set[Architecture] = set()
    measured: set[Architecture] = set()
    for round in read_study(directory).rounds:
        seen |= {t.architecture for t in round.trials}
        measured |= {t.architecture for t in round.trials if t.measurement_id or t.failure}
        allowed = share * (1 - final_share) if round.asked else share
        assert len(measured) <= allowed * len(seen) + 1e-9


def test_all_measured_latencies_are_corrected_alike_at_the_end(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), lab=FakeLab(learns=0.1))
    front = run.search()
    assert run.lab.calls > 2
    measured = [t for t in read_study(tmp_path).latest().values() if t.measurement_id]
    correction = 1 + run.lab.learns * run.lab.calls
    for trial in measured:
        assert trial.latency is not None
        assert trial.latency.latency_ns == round(correction * true_latency_ns(trial.architecture))
        assert trial.accuracy is not None
        reward = settings().reward.value(trial.accuracy, trial.latency.latency_ns, TARGET_NS)
        assert trial.reward == reward
    assert front == measured_front(measured)
    rounds = len(read_study(tmp_path).rounds)
    run.strategy = Scripted(1000)
    run.search()
    assert len(read_study(tmp_path).rounds) == rounds  # nothing has changed since


def test_a_lab_that_lost_measurements_leaves_latencies_as_they_were(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000))
    before = run.search()
    run.strategy, run.lab = Scripted(1000), FakeLab(learns=0.1)
    assert run.search() == before


def test_what_is_on_the_front_at_the_end_is_measured(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), loop=LoopSettings(4, max_measured_share=0.8))
    front = run.search()
    latest = read_study(tmp_path).latest().values()
    assert front == measured_front(latest)
    assert front
    assert all(trial.measurement_id for trial in front)
    # The allowance sufficed, so no unmeasured one would be on it at its true latency either.
    assert not any("are not measured, because" in note for note in run.notes)
    for trial in latest:
        assert trial.measurement_id or any(
            true_accuracy(other.architecture) >= true_accuracy(trial.architecture)
            and true_latency_ns(other.architecture) < true_latency_ns(trial.architecture)
            for other in front
        )


def test_what_is_far_from_the_front_is_not_predicted_in_every_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.round_choice.MIN_AT_ONCE", 4)
    loop = LoopSettings(4, max_measured_share=1, final_share=1, max_measurements=12)
    run = Run(tmp_path, Scripted(10**6), loop=loop, round_size=50)
    run.search()
    assert run.lab.calls > 1  # passes that measured, before one that found nothing more
    assert not spoken_of(run, "are not measured, because")
    times = Counter(run.lab.predicted)  # in its round, when nothing else was left, and near
    assert Counter(times.values()).most_common(1)[0][0] <= 2
    assert sum(times.values()) < 3 * len(times)


@dataclass
class LearnsLate(FakeLab):
    """Predicts every third network far too slow, until half of the measurements are made."""

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        late = len(self.measured) > 20
        return [
            estimate(int(true_latency_ns(a) * (1.03 if late or a.stem_channels % 3 else 9)))
            for a in architectures
        ]


def test_what_a_recorded_prediction_hides_is_found_before_the_search_ends(tmp_path: Path) -> None:
    loop = LoopSettings(4, max_measured_share=0.9, final_share=0.8)
    front = Run(tmp_path, Scripted(1000), lab=LearnsLate(), loop=loop, round_size=30).search()
    assert any(not trial.architecture.stem_channels % 3 for trial in front)
    for trial in read_study(tmp_path).latest().values():
        assert trial.measurement_id or any(
            true_accuracy(other.architecture) >= true_accuracy(trial.architecture)
            and true_latency_ns(other.architecture) < true_latency_ns(trial.architecture)
            for other in front
        )


@hypothesis_settings(deadline=None)
@given(rounds=st.integers(1, 6), budget=st.integers(0, 20), final_share=st.floats(0, 1))
def test_a_budget_is_spread_over_the_rounds(
    tmp_path_factory: pytest.TempPathFactory, rounds: int, budget: int, final_share: float
) -> None:
    directory = tmp_path_factory.mktemp("study")
    loop = LoopSettings(rounds, 1.0, final_share, max_measurements=budget)
    Run(directory, Scripted(1000), loop=loop).search()
    measured: set[Architecture] = set()
    for number, round in enumerate(read_study(directory).rounds, 1):
        measured |= {t.architecture for t in round.trials if t.measurement_id}
        due = budget * (1 - final_share) * number / rounds if round.asked else budget
        assert len(measured) <= due + 1e-9


def test_where_the_allowance_is_spent_it_says_what_stays_unmeasured(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), loop=LoopSettings(2, max_measured_share=0.05))
    front = run.search()
    assert len(tried(tmp_path)) == 1
    assert all(trial.measurement_id for trial in front)
    assert "allow no more: 1 of 23 candidates were measured" in run.notes[-1]


def test_a_failed_measurement_earns_nothing_leaves_the_estimate_and_is_recorded(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, Scripted(20), lab=FakeLab(lambda a: True))  # proposed again and again
    assert run.search() == []
    failed = [t for t in read_study(tmp_path).latest().values() if t.failure]
    assert len(failed) == len(run.lab.asked) > 0
    for trial in failed:
        assert trial.failure == "no latency"
        assert trial.measurement_id is None
        assert trial.latency is not None
        assert trial.latency.source is Source.LOOKUP
        assert trial.reward is None
    told = [t for trials in run.strategy.told for t in trials]  # type: ignore[attr-defined]
    again = [t for t in told if t.failure]
    assert len(again) > len({t.architecture for t in again})
    assert all(t.reward is None for t in again)


def test_what_failed_is_no_warm_start_and_no_best(tmp_path: Path) -> None:
    directory = tmp_path / "study"
    run = Run(directory, Scripted(1000), lab=FakeLab(fails_for(0.5)))
    front = run.search()
    latest = read_study(directory).latest().values()
    failed = {t.architecture for t in latest if t.failure}
    assert failed
    assert not failed & {t.architecture for t in [*front, *best_by_reward(latest, 10**6)]}
    assert not failed & {t.architecture for t in [*contenders(latest), *may_be_on_front(latest)]}


def test_a_replay_tells_the_rewards_that_an_older_version_gave_to_failures(
    tmp_path: Path,
) -> None:
    """The strategy was told them then, and only so does it propose the same again."""
    run = Run(tmp_path, Scripted(1000), lab=FakeLab(fails_for(0.5)), loop=LoopSettings(2))
    run.search()
    before = read_study(tmp_path)
    older = [replace(t, reward=0.99) if t.failure else t for r in before.rounds for t in r.trials]
    assert any(t.failure for t in older)
    sizes = [(len(r.trials), r.asked) for r in before.rounds]
    remaining = iter(older)
    (tmp_path / "journal.log").unlink()
    with open_study(tmp_path, before.settings) as study:
        for size, asked in sizes:
            study.append([next(remaining) for _ in range(size)], asked=asked)
    again = Scripted(1000)
    resumed = Run(tmp_path, again, loop=LoopSettings(3))
    front = resumed.search()
    rounds = read_study(tmp_path).rounds
    assert again.told == [list(r.trials) for r in rounds if r.asked]
    assert any(t.failure and t.reward == 0.99 for trials in again.told for t in trials)
    assert not any(t.failure for t in front)
    assert all(t.reward != 0.99 for t in read_study(tmp_path).latest().values())
    assert "best reward 0.99" not in " ".join(resumed.notes)


def test_a_failed_evaluation_has_no_reward_and_is_never_measured(tmp_path: Path) -> None:
    fails = fails_for(0.4)
    run = Run(tmp_path, Scripted(1000), FakeAccuracy(fails))
    run.search()
    failed = [t for t in read_study(tmp_path).latest().values() if t.accuracy is None]
    assert failed
    assert all(t.failure == "no accuracy" and t.reward is None for t in failed)
    assert not {t.architecture for t in failed} & set(run.lab.asked)


def test_where_everything_fails_the_search_ends_without_a_front(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), FakeAccuracy(lambda a: True))
    assert run.search() == []
    assert not run.lab.asked
    assert len(read_study(tmp_path).rounds) == 4


class Killed(BaseException):
    """Like the KeyboardInterrupt of Ctrl-C, which pytest keeps to itself."""


class DiesWhenFull(list[Progress]):
    def __init__(self, size: int) -> None:
        self.size = size

    def append(self, progress: Progress) -> None:
        if len(self) == self.size:
            raise Killed
        super().append(progress)


def test_what_exceeds_the_limits_is_not_evaluated_and_says_so(tmp_path: Path) -> None:
    limits = {"parameters": quantities(network(500))["parameters"]}
    run = Run(tmp_path, Scripted(1000), limits=limits)
    front = run.search()
    latest = read_study(tmp_path).latest()
    outside = [t for a, t in latest.items() if a.stem_channels > 500]
    assert outside
    for trial in outside:
        assert trial.failure is not None
        assert "M parameters where" in trial.failure
        assert (trial.accuracy, trial.reward, trial.measurement_id) == (None, None, None)
    assert not {t.architecture for t in outside} & {*run.accuracy.asked, *run.lab.asked}
    assert len(run.accuracy.asked) == len(latest) - len(outside)
    assert front


def test_a_warm_start_comes_before_the_first_round_and_is_learned_of(tmp_path: Path) -> None:
    strategy, warm = Scripted(1000), [network(n) for n in range(2000, 2006)]
    run = Run(tmp_path, strategy, warm_start=warm)
    run.search()
    first, second, *_ = read_study(tmp_path).rounds
    assert [t.architecture for t in first.trials] == warm
    assert (first.asked, second.asked) == (False, True)
    assert strategy.learned == list(first.trials)
    assert any(t.measurement_id for t in first.trials)
    assert run.notes[0].startswith("warm start: 6 candidates")
    assert run.notes[1].startswith("round 1 of 4: 18 candidates")

    again = Run(tmp_path, Scripted(1000), warm_start=warm)
    again.search()
    assert again.strategy.learned == list(first.trials)  # type: ignore[attr-defined]
    assert not again.accuracy.asked


@pytest.mark.parametrize("name", StrategyName)
def test_killed_after_a_warm_start_and_within_limits_it_goes_on_alike(
    tmp_path: Path, name: StrategyName
) -> None:
    space, rng = small_space(), random.Random(0)
    warm = [space.resolve(space.sample(rng)) for _ in range(6)]
    limits = {"parameters": 94_000}

    def run(directory: str) -> Run:
        strategy = make_strategy(name, space, 0, lambda a: not excess(a, limits))
        return Run(tmp_path / directory, strategy, limits=limits, warm_start=warm)

    front = run("whole").search()
    killed = run("killed")
    killed.progress = DiesWhenFull(5)
    with pytest.raises(Killed):
        killed.search()
    assert run("killed").search() == front
    rounds = read_study(tmp_path / "whole").rounds
    assert read_study(tmp_path / "killed").rounds == rounds
    assert not any(excess(t.architecture, limits) for r in rounds if r.asked for t in r.trials)


@pytest.mark.parametrize("name", StrategyName)
@pytest.mark.parametrize("survives", [0, 1, 4, 7, 8])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, name: StrategyName, survives: int
) -> None:
    """Killed after so many evaluations and measurements of a whole round."""

    loop = LoopSettings(4, max_measured_share=0.2)  # so that the end has something to measure

    def run(directory: str) -> Run:
        return Run(tmp_path / directory, make_strategy(name, small_space(), seed=0), loop=loop)

    front = run("whole").search()
    killed = run("killed")
    killed.progress = DiesWhenFull(survives)
    with pytest.raises(Killed):
        killed.search()
    assert run("killed").search() == front
    assert read_study(tmp_path / "killed").rounds == read_study(tmp_path / "whole").rounds


def test_a_finished_study_is_done_at_once(tmp_path: Path) -> None:
    front = Run(tmp_path, Scripted(1000)).search()
    again = Run(tmp_path, Scripted(1000))
    rounds = len(read_study(tmp_path).rounds)
    assert again.search() == front
    assert not again.accuracy.asked
    assert not again.lab.asked
    assert len(read_study(tmp_path).rounds) == rounds


def test_a_finished_study_can_be_searched_further(tmp_path: Path) -> None:
    Run(tmp_path, Scripted(1000), loop=LoopSettings(2)).search()
    further = Run(tmp_path, Scripted(1000), loop=LoopSettings(5))
    front = further.search()
    rounds = read_study(tmp_path).rounds
    assert sum(r.asked for r in rounds) == 5
    assert all(trial.measurement_id for trial in front)


def test_where_a_replay_proposes_others_the_recorded_networks_are_adopted(tmp_path: Path) -> None:
    Run(tmp_path, Scripted(1000, seed=0), loop=LoopSettings(2)).search()
    before = read_study(tmp_path).rounds
    other = Scripted(1000, seed=1)
    run = Run(tmp_path, other, loop=LoopSettings(3))
    run.search()
    recorded = [list(r.trials) for r in before if r.asked]
    assert other.adopted == [[trial.architecture for trial in trials] for trials in recorded]
    assert other.told[:2] == recorded
    assert "2 of 2 rounds were made where arithmetic or the software differs" in run.notes[0]
    rounds = read_study(tmp_path).rounds
    assert rounds[: len(before)] == before
    assert sum(r.asked for r in rounds) == 3


def test_where_a_replay_proposes_the_same_nothing_is_adopted_or_said(tmp_path: Path) -> None:
    Run(tmp_path, Scripted(1000), loop=LoopSettings(2)).search()
    again = Scripted(1000)
    run = Run(tmp_path, again, loop=LoopSettings(3))
    run.search()
    assert not again.adopted
    assert not spoken_of(run, "differs")


def test_a_study_of_other_networks_than_the_strategy_can_propose_is_refused(
    tmp_path: Path,
) -> None:
    Run(tmp_path, make_strategy(StrategyName.RANDOM, small_space(), 1)).search()
    with pytest.raises(StudyError, match=r"cannot be replayed.*not of this space.*another name"):
        Run(tmp_path, Scripted(1000)).search()


@dataclass
class RoundsOtherwise:
    """A strategy on a machine where every second proposal comes out otherwise."""

    strategy: Strategy
    seed: int = 5

    def __post_init__(self) -> None:
        self.learn, self.tell = self.strategy.learn, self.strategy.tell
        self.statistics = self.strategy.statistics

    def ask(self, n: int) -> list[Architecture]:
        space, rng = small_space(), random.Random(self.seed)
        proposed = self.strategy.ask(n)
        others = [space.resolve(space.sample(rng)) for _ in proposed]
        mixed = [
            other if index % 2 else own
            for index, (own, other) in enumerate(zip(proposed, others, strict=True))
        ]
        self.strategy.adopt(mixed)
        return mixed

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        self.strategy.adopt(architectures)


@pytest.mark.parametrize("name", StrategyName)
def test_a_study_goes_on_on_another_machine_and_resumes_there_alike(
    tmp_path: Path, name: StrategyName
) -> None:
    def run(directory: str, rounds: int = 5) -> Run:
        strategy = make_strategy(name, small_space(), 0)
        return Run(tmp_path / directory, strategy, loop=LoopSettings(rounds))

    for directory in ("whole", "killed"):
        made_elsewhere = run(directory, 2)
        made_elsewhere.strategy = RoundsOtherwise(made_elsewhere.strategy)
        made_elsewhere.search()
    whole = run("whole")
    front = whole.search()
    assert len(spoken_of(whole, "2 of 2 rounds were made where")) == 1
    killed = run("killed")
    killed.progress = DiesWhenFull(4)
    with pytest.raises(Killed):
        killed.search()
    assert run("killed").search() == front
    assert read_study(tmp_path / "killed").rounds == read_study(tmp_path / "whole").rounds


@pytest.mark.parametrize(("bias", "warned"), [(1.03, False), (1.3, True)])
def test_predictions_that_are_too_sure_are_told(tmp_path: Path, bias: float, warned: bool) -> None:
    run = Run(tmp_path, Scripted(1000), lab=FakeLab(bias=bias))
    run.search()
    assert any("outside their predicted 90% intervals" in note for note in run.notes) == warned


@pytest.mark.parametrize(("bias", "measured"), [(1.03, 8), (1.3, 12)])
def test_while_predictions_are_too_sure_more_is_measured(
    tmp_path: Path, bias: float, measured: int
) -> None:
    """Of 48 candidates half of a third, or three quarters of it."""
    Run(tmp_path, Scripted(10**6), lab=FakeLab(bias=bias)).search()
    asked = [trial for r in read_study(tmp_path).rounds if r.asked for trial in r.trials]
    assert sum(trial.measurement_id is not None for trial in asked) == measured


@pytest.mark.parametrize(("budget", "searching"), [(0, 0), (6, 3), (10**6, 8)])
def test_no_more_than_the_budget_is_measured_and_some_of_it_is_kept(
    tmp_path: Path, budget: int, searching: int
) -> None:
    loop = LoopSettings(4, max_measurements=budget)
    Run(tmp_path, Scripted(10**6), lab=FakeLab(bias=1.0), loop=loop).search()
    asked = [trial for r in read_study(tmp_path).rounds if r.asked for trial in r.trials]
    assert sum(trial.measurement_id is not None for trial in asked) == searching
    assert searching <= len(tried(tmp_path)) <= min(budget, 16)


def spoken_of(run: Run, words: str) -> list[str]:
    return [note for note in run.notes if words in note]


def test_while_the_target_is_away_predictions_go_on_and_later_more_is_measured(
    tmp_path: Path,
) -> None:
    lab = FakeLab(is_away=lambda call: call in (1, 2))
    run = Run(tmp_path, Scripted(10**6), lab=lab, loop=LoopSettings(5))
    front = run.search()
    rounds = read_study(tmp_path).rounds
    measured = [sum(t.measurement_id is not None for t in r.trials) for r in rounds if r.asked]
    assert measured == [2, 0, 0, 6, 2]  # of 12, 24 … candidates half of a third
    assert all(t.failure is None and t.reward is not None for r in rounds for t in r.trials)
    assert len(spoken_of(run, "the target is away, so")) == 1
    assert "unplugged" in spoken_of(run, "the target is away, so")[0]
    assert len(spoken_of(run, "the target is back")) == 1
    assert front
    assert not spoken_of(run, "are not measured, because")


def test_where_the_target_stays_away_the_search_ends_and_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, Scripted(10**6), lab=FakeLab(is_away=lambda call: call > 0))
    front = run.search()
    rounds = read_study(tmp_path).rounds
    assert len(rounds) == 4
    assert set(front) <= {t for t in rounds[0].trials if t.measurement_id}
    assert run.lab.calls == 5  # one for the front
    assert "are not measured, because the target is away" in run.notes[-1]

    back = Run(tmp_path, Scripted(10**6))
    assert len(back.search()) > len(front)
    assert not back.accuracy.asked
    assert 0 < len(back.lab.asked) <= 16 - len(run.lab.asked)
    assert not set(back.lab.asked) & set(run.lab.asked)


@many_runs
@given(
    away=st.sets(st.integers(0, 12)),
    failing=st.sampled_from([0, 0.5]),
    distinct=st.integers(1, 60),
)
def test_however_the_target_comes_and_goes_nothing_is_measured_twice(
    tmp_path_factory: pytest.TempPathFactory, away: set[int], failing: float, distinct: int
) -> None:
    directory = tmp_path_factory.mktemp("study")
    lab = FakeLab(fails_for(failing), is_away=lambda call: call in away)
    run = Run(directory, Scripted(distinct), lab=lab)
    run.search()
    assert len(lab.asked) == len(set(lab.asked))
    assert {t.architecture for t in tried(directory)} == set(lab.asked)
    back = len(spoken_of(run, "the target is back"))
    assert back <= len(spoken_of(run, "the target is away, so")) <= back + 1


def test_what_was_disturbed_in_the_rounds_is_measured_at_the_end(tmp_path: Path) -> None:
    """Its reward is that of the prediction until then, and no failure of its own."""
    lab = FakeLab(disturbs=lambda architecture, call: call < 3)
    loop = LoopSettings(4, max_measured_share=1)
    run = Run(tmp_path, Scripted(1000), lab=lab, loop=loop)
    front = run.search()
    rounds = read_study(tmp_path).rounds
    disturbed = [t for r in rounds[:3] for t in r.trials if t.disturbed]
    assert len(disturbed) == len(lab.asked[: len(disturbed)]) > 0
    for trial in disturbed:
        assert trial.disturbed == 1
        assert (trial.failure, trial.measurement_id) == (None, None)
        assert trial.latency is not None
        assert trial.latency.source is Source.LOOKUP
        assert trial.reward is not None
    assert not any("are not measured, because" in note for note in run.notes)
    assert all(trial.measurement_id for trial in front)
    again = {t.architecture for t in front} & {t.architecture for t in disturbed}
    assert again
    assert all(trial.disturbed == (trial.architecture in again) for trial in front)


def test_a_search_on_a_disturbed_target_ends_and_is_tried_thrice_in_all(tmp_path: Path) -> None:
    """A pass over the front that brings nothing is the last one of a search; resumed, one with
    a target that stays disturbed gives each network up at last."""
    loop = LoopSettings(1, max_measured_share=1, final_share=1)  # the front, and it alone
    asked: list[list[Architecture]] = []
    for _ in range(2):
        run = Run(tmp_path, Scripted(1000), loop=loop)
        run.lab.disturbs = lambda architecture, call: True
        assert run.search() == []
        assert run.lab.calls == 1
        assert "the target is disturbed by other work: run the same" in run.notes[-1]
        asked.append(run.lab.asked)
    first, second = asked
    assert second == first[: len(second)]  # half of what is left is tried each time

    last = Run(tmp_path, Scripted(1000), loop=loop)
    last.lab.disturbs = lambda architecture, call: True
    assert last.search() == []
    thrice = set(last.lab.asked) & set(second)
    given_up = [t for t in read_study(tmp_path).latest().values() if t.failure]
    assert thrice
    assert {t.architecture for t in given_up} == thrice
    assert all(t.failure == "1 of 9 visits were clean" and t.reward for t in given_up)


@many_runs
@given(
    distinct=st.integers(1, 60),
    share=st.floats(0, 1),
    final_share=st.floats(0, 1),
    disturbed=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_however_often_it_is_disturbed_no_more_is_measured_than_may_be(
    tmp_path_factory: pytest.TempPathFactory,
    distinct: int,
    share: float,
    final_share: float,
    disturbed: float,
    seed: int,
) -> None:
    directory = tmp_path_factory.mktemp("study")
    loop = LoopSettings(4, share, final_share)
    asked: list[Architecture] = []
    for search in range(4):  # resumed three times

        def disturbs(architecture: Architecture, call: int, search: int = search) -> bool:
            return random.Random(f"{seed} {search} {call} {architecture.id}").random() < disturbed

        lab = FakeLab(disturbs=disturbs)
        Run(directory, Scripted(distinct), lab=lab, loop=loop).search()
        asked += lab.asked
    latest = read_study(directory).latest()
    assert len(asked) <= share * len(latest) + 1e-9
    tries = {architecture: asked.count(architecture) for architecture in asked}
    assert all(count <= 3 for count in tries.values())
    for architecture, trial in latest.items():
        settled = bool(trial.measurement_id or trial.failure)
        assert trial.disturbed + settled == tries.get(architecture, 0)


@pytest.mark.parametrize("survives", [1, 4, 7, 8])
def test_killed_on_a_disturbed_target_it_goes_on_alike(tmp_path: Path, survives: int) -> None:
    def run(directory: str) -> Run:
        lab = FakeLab(disturbs=lambda architecture, call: fails_for(0.5)(architecture))
        return Run(tmp_path / directory, Scripted(1000), lab=lab)

    front = run("whole").search()
    killed = run("killed")
    killed.progress = DiesWhenFull(survives)
    with pytest.raises(Killed):
        killed.search()
    assert run("killed").search() == front
    rounds = read_study(tmp_path / "whole").rounds
    assert read_study(tmp_path / "killed").rounds == rounds
    assert any(trial.disturbed for round in rounds for trial in round.trials)


@pytest.mark.parametrize(
    ("minutes", "least", "most"),
    [(0, 0, 0), (0.01, 1, 1), (0.2, 4, 4), (0.5, 7, 10), (1e6, 9, 16)],
)
def test_no_more_device_time_than_the_budget_is_spent(
    tmp_path: Path, minutes: float, least: int, most: int
) -> None:
    """Of a budget below the cost of one measurement one is made, which tells its cost."""
    loop = LoopSettings(4, max_device_minutes=minutes)
    run = Run(tmp_path, Scripted(10**6), loop=loop)
    run.search()
    spent_s = sum(trial.device_s for trial in read_study(tmp_path).latest().values())
    assert spent_s == DEVICE_S * len(run.lab.asked)
    assert least <= len(run.lab.asked) <= most


def test_a_resumed_study_counts_the_device_time_that_it_has_spent(tmp_path: Path) -> None:
    loop = LoopSettings(2, max_device_minutes=0.15)
    first = Run(tmp_path, Scripted(10**6), loop=loop)
    first.search()
    further = Run(tmp_path, Scripted(10**6), loop=LoopSettings(4, max_device_minutes=0.3))
    further.search()
    assert (len(first.lab.asked), len(further.lab.asked)) == (3, 3)


def test_progress_counts_rounds_from_one_and_ends_with_the_front(tmp_path: Path) -> None:
    run = Run(tmp_path, Scripted(1000), loop=LoopSettings(4, max_measured_share=0.2))
    run.search()
    assert run.progress[0] == Progress(1, "evaluating", 12, 12)
    assert {p.round for p in run.progress} == {1, 2, 3, 4, None}
    assert run.progress[-1].activity == "measuring"
    assert all(p.done == p.total for p in run.progress)
    assert run.notes[0].startswith("round 1 of 4: 12 candidates, 1 measured, best reward 0.")


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 0},
        {"max_measured_share": 1.1},
        {"final_share": -0.1},
        {"max_measurements": -1},
        {"max_device_minutes": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"round|share|measurements|minutes"):
        LoopSettings(**change)  # type: ignore[arg-type]
