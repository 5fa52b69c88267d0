from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.estimate import LatencyEstimate
from search.loop import Progress, run_search
from search.space.architecture import Architecture
from search.strategies.strategy import make_strategy
from search.study.pareto import pareto_front
from search.study.settings import LoopSettings, StrategyName, SurrogateSettings
from search.study.study import Study, open_study, read_study
from search.study.trial import Trial
from search.surrogate.screening import ScreenedStrategy, ranks_beside, screened
from tests.search import fakes
from tests.search.fakes import FakeLab, estimate
from tests.search.surrogate.additive import (
    SPACE,
    NoisyTraining,
    latency_ns,
    networks,
    trained_accuracy,
    true_accuracy,
)

N = 8
SETTINGS = SurrogateSettings(draws=5, min_trained=2 * N)


def predict(architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
    return [estimate(latency_ns(architecture)) for architecture in architectures]


def trials_of(architectures: Sequence[Architecture]) -> list[Trial]:
    return [fakes.trial(a, trained_accuracy(a), predict([a])[0]) for a in architectures]


@dataclass
class Drawing:
    """A strategy that draws from a list, in turn."""

    supply: list[Architecture]
    asked: list[list[Architecture]] = field(default_factory=list)
    adopted: list[list[Architecture]] = field(default_factory=list)
    told: list[list[Trial]] = field(default_factory=list)

    def ask(self, n: int) -> list[Architecture]:
        start = sum(map(len, self.asked))
        drawn = [self.supply[i % len(self.supply)] for i in range(start, start + n)]
        self.asked.append(drawn)
        return drawn

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        self.adopted.append(list(architectures))

    def learn(self, trials: Sequence[Trial]) -> None:
        self.told.append(list(trials))

    def statistics(self) -> Mapping[str, float]:
        return {"rounds": len(self.told)}

    def tell(self, trials: Sequence[Trial]) -> None:
        self.told.append(list(trials))


def after_training(
    drawing: Drawing, recorded: Sequence[Sequence[Architecture]] = ()
) -> ScreenedStrategy:
    """Return a screened strategy that was told the first two rounds, which are not screened."""
    screened = ScreenedStrategy(drawing, SPACE, SETTINGS, predict, recorded)
    for _ in range(2):
        screened.tell(trials_of(screened.ask(N)))
    return screened


def test_candidates_are_screened_as_soon_as_enough_networks_are_trained() -> None:
    drawing = Drawing(networks(200))
    screened = after_training(drawing)
    chosen = screened.ask(N)
    assert list(map(len, drawing.asked)) == [N, N, N * SETTINGS.draws]
    assert len(set(chosen)) == N
    assert set(chosen) <= set(drawing.asked[-1])


def test_the_chosen_candidates_are_better_than_what_was_drawn() -> None:
    drawing = Drawing(networks(1_000, seed=1))
    screened = ScreenedStrategy(drawing, SPACE, SurrogateSettings(draws=10), predict)
    screened.learn(trials_of(networks(150, seed=2)))
    chosen, [drawn] = screened.ask(N), drawing.asked
    ranks = ranks_beside([], list(map(true_accuracy, drawn)), list(map(latency_ns, drawn)))
    of_chosen = [rank for rank, a in zip(ranks, drawn, strict=True) if a in chosen]
    assert np.mean(of_chosen) < 0.5 * np.mean(ranks)


def test_the_strategy_is_told_all_that_it_drew_and_the_untrained_have_no_reward() -> None:
    drawing = Drawing(networks(200))
    screened = after_training(drawing)
    trials = trials_of(screened.ask(N))
    screened.tell(trials)
    told = drawing.told[-1]
    assert [trial.architecture for trial in told] == drawing.asked[-1]
    assert [trial for trial in told if trial.reward is not None] == sorted(
        trials, key=lambda trial: drawing.asked[-1].index(trial.architecture)
    )


def test_the_statistics_are_those_of_the_strategy() -> None:
    assert after_training(Drawing(networks(200))).statistics() == {"rounds": 2}


def test_what_is_drawn_again_is_told_as_it_was_trained_and_not_trained_again() -> None:
    drawing = Drawing(networks(2 * N + 20))
    screened = after_training(drawing)
    first = drawing.told[0]
    chosen = screened.ask(N)
    assert not set(chosen) & {trial.architecture for trial in [*drawing.told[0], *drawing.told[1]]}
    screened.tell(trials_of(chosen))
    again = [t for t in drawing.told[-1] if t.architecture in {f.architecture for f in first}]
    assert again
    assert all(trial in first for trial in again)


def test_what_has_failed_is_not_chosen_again() -> None:
    drawing = Drawing(networks(200))
    screened = ScreenedStrategy(drawing, SPACE, SETTINGS, predict)
    proposed = [screened.ask(N)]
    failed = [replace(trial, reward=None, failure="crashed") for trial in trials_of(proposed[0])]
    screened.tell(failed)
    for _ in range(2):
        screened.tell(trials_of(screened.ask(N)))
    drawing.supply = [*proposed[0], *networks(N, seed=9)]
    assert set(screened.ask(N)) == set(networks(N, seed=9))


def test_a_strategy_that_draws_the_same_again_and_again_still_proposes_enough() -> None:
    drawing = Drawing(networks(2 * N))
    screened = after_training(drawing)
    assert len(screened.ask(N)) == N
    drawing.supply = networks(1)
    assert screened.ask(N) == networks(1) * N


def test_recorded_networks_are_chosen_again_whatever_is_predicted_now() -> None:
    first = Drawing(networks(200))
    screened = after_training(first)
    chosen = screened.ask(N)
    others = [a for a in first.asked[-1] if a not in chosen][:N]
    recorded = [*first.asked[:-1], others]
    again = Drawing(networks(200))
    replayed = after_training(again, recorded)
    assert replayed.ask(N) == others
    assert again.adopted == []


def test_recorded_networks_that_were_not_drawn_are_adopted() -> None:
    drawing = Drawing(networks(200))
    screened = after_training(drawing)
    chosen = screened.ask(N)
    others = networks(3, seed=5)
    adopted = [*chosen[:-3], *others]
    screened.adopt(adopted)
    [passed_on] = drawing.adopted
    assert len(passed_on) == N * SETTINGS.draws
    assert set(adopted) <= set(passed_on)
    trials = trials_of(adopted)
    screened.tell(trials)
    rewarded = {t.architecture for t in drawing.told[-1] if t.reward is not None}
    assert rewarded == set(adopted)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=4),
)
def test_a_candidate_lies_behind_all_fronts_that_dominate_it(
    candidates: list[tuple[int, int]], known: list[tuple[int, int]]
) -> None:
    trials = [fakes.trial(networks(1)[0], a / 9, estimate(ns)) for a, ns in known]
    accuracies, latencies_ns = [a / 9 for a, _ in candidates], [ns for _, ns in candidates]
    ranks = ranks_beside(trials, accuracies, latencies_ns)
    together = [*zip(accuracies, latencies_ns, strict=True), *((a / 9, ns) for a, ns in known)]
    on_front = pareto_front(*zip(*together, strict=True))
    for index, rank in enumerate(ranks):
        assert (rank == 0) == (index in on_front)
        worse = [
            ranks[other]
            for other in range(len(ranks))
            if accuracies[other] >= accuracies[index]
            and latencies_ns[other] <= latencies_ns[index]
            and together[other] != together[index]
        ]
        assert all(other < rank for other in worse)


class Killed(BaseException):
    pass


@dataclass
class DiesAfter:
    """Kills the search when it has evaluated or measured so many times."""

    calls: int

    def __call__(self, progress: Progress) -> None:
        if progress.done == progress.total:
            self.calls -= 1
            if self.calls < 0:
                raise Killed


@dataclass
class LearningLab(FakeLab):
    """Its predictions of latency change with each measurement."""

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        self.bias = 1.03 + 0.05 * self.calls
        return super().predict(architectures)


def run(
    directory: Path, lab: FakeLab, dies_after: int = 1_000
) -> tuple[Study, NoisyTraining, list[str]]:
    surrogate = SurrogateSettings(draws=4, min_trained=2 * N)
    made_with = fakes.settings(space=SPACE.name, round_size=N, surrogate=surrogate)
    notes: list[str] = []
    accuracy = NoisyTraining()
    with open_study(directory, made_with) as study:
        drawn_by = make_strategy(StrategyName.EVOLUTION, SPACE, 0)
        run_search(
            study,
            screened(drawn_by, study, SPACE, lab.predict),
            accuracy,
            lab,
            LoopSettings(rounds=5),
            on_progress=DiesAfter(dies_after),
            on_note=notes.append,
        )
    return read_study(directory), accuracy, notes


@pytest.mark.parametrize("dies_after", [3, 6, 8])
def test_killed_and_resumed_a_screened_search_goes_on_alike(
    tmp_path: Path, dies_after: int
) -> None:
    whole, _, _ = run(tmp_path / "whole", FakeLab())
    with pytest.raises(Killed):
        run(tmp_path / "killed", FakeLab(), dies_after)
    resumed, _, notes = run(tmp_path / "killed", FakeLab())
    assert resumed.rounds == whole.rounds
    assert not any("arithmetic" in note for note in notes)


def test_a_replay_keeps_what_was_trained_though_predictions_have_changed(tmp_path: Path) -> None:
    lab = LearningLab()
    with pytest.raises(Killed):
        run(tmp_path, lab, 8)
    before = read_study(tmp_path).rounds
    trained = {trial.architecture for finished in before for trial in finished.trials}
    after, accuracy, notes = run(tmp_path, lab)
    assert after.rounds[: len(before)] == before
    assert not trained & set(accuracy.asked)
    assert not any("arithmetic" in note for note in notes)


def test_measured_networks_are_smoothed_alike_at_the_end(tmp_path: Path) -> None:
    study, accuracy, _ = run(tmp_path, FakeLab())
    assert len(accuracy.asked) == len(set(accuracy.asked)) == 5 * N
    measured = [trial for trial in study.latest().values() if trial.measurement_id]
    assert measured
    for trial in measured:
        assert trial.trained_accuracy == trained_accuracy(trial.architecture)
    again, trained_again, _ = run(tmp_path, FakeLab())
    assert again.rounds == study.rounds
    assert trained_again.asked == []
