"""Screening: train only those of many drawn candidates that may be on the front."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from latlab.domain.estimate import LatencyEstimate
from search.space.architecture import Architecture
from search.space.space import Space
from search.strategies.strategy import Strategy
from search.study.front import front, points_of
from search.study.pareto import pareto_front
from search.study.settings import SurrogateSettings
from search.study.study import Study
from search.study.trial import Trial, own_accuracies
from search.surrogate.regression import AccuracySurrogate, surrogate_features

Predict = Callable[[Sequence[Architecture]], Sequence[LatencyEstimate]]


class ScreenedStrategy:
    """A Strategy that proposes the most promising of the candidates that another one draws.

    A surrogate predicts their accuracies and the lab their latencies. The candidates that no
    other candidate and no trained network dominates come first, then those that only these
    dominate, and so on. The other strategy learns from the candidates that are trained. For it,
    the remaining ones have no reward.

    Predictions of latency improve, so the same candidates would be chosen differently later. The
    networks of a study's finished rounds are therefore given, and are chosen again in a replay.
    """

    def __init__(
        self,
        strategy: Strategy,
        space: Space,
        settings: SurrogateSettings,
        predict: Predict,
        recorded: Iterable[Sequence[Architecture]] = (),
    ) -> None:
        """Begin without trained networks.

        Args:
            strategy: A new strategy, which draws the candidates.
            space: Its space.
            settings: How many candidates to draw, and when to begin.
            predict: Returns the latency estimates of networks, in their order.
            recorded: The networks of each finished round that was asked for.
        """
        self._strategy = strategy
        self._space = space
        self._settings = settings
        self._predict = predict
        self._recorded = deque(recorded)
        self._known: dict[Architecture, Trial] = {}
        self._drawn: list[Architecture] = []

    def learn(self, trials: Sequence[Trial]) -> None:
        """Let the strategy learn, and remember the trials."""
        self._strategy.learn(trials)
        self._remember(trials)

    def ask(self, n: int) -> list[Architecture]:
        """Return the `n` most promising of the strategy's candidates.

        Candidates are not screened until enough networks are trained.
        """
        is_screened = len(self._trained()) >= self._settings.min_trained
        self._drawn = self._strategy.ask(n * self._settings.draws if is_screened else n)
        if self._recorded:
            recorded = list(self._recorded.popleft())
            if set(recorded) <= set(self._drawn):
                return recorded
        return self._promising(n) if is_screened else list(self._drawn)

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        """Take these architectures for those that were last asked for.

        Those that the strategy did not draw replace candidates that were not asked for.
        """
        adopted, drawn = set(architectures), set(self._drawn)
        missing = [a for a in dict.fromkeys(architectures) if a not in drawn]
        replaceable = sorted(range(len(self._drawn)), key=lambda i: self._drawn[i] in adopted)
        for index, architecture in zip(replaceable, missing, strict=False):
            self._drawn[index] = architecture
        self._strategy.adopt(self._drawn)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell the strategy the trials of its candidates, as far as they were ever trained."""
        self._remember(trials)
        untrained = [Trial(a, trials[0].round, None, None, None) for a in self._drawn]
        self._strategy.tell([self._known.get(trial.architecture, trial) for trial in untrained])

    def statistics(self) -> Mapping[str, float]:
        """Return the strategy's own statistics."""
        return self._strategy.statistics()

    def _remember(self, trials: Iterable[Trial]) -> None:
        self._known |= {trial.architecture: trial for trial in trials}

    def _trained(self) -> list[Trial]:
        """Return the trials of the space's networks that have a reward."""
        return [
            trial
            for trial in self._known.values()
            if trial.reward is not None and self._space.spell(trial.architecture) is not None
        ]

    def _promising(self, n: int) -> list[Architecture]:
        new = [a for a in dict.fromkeys(self._drawn) if a not in self._known]
        if new:
            trained = self._trained()
            own = own_accuracies(trained)
            surrogate = AccuracySurrogate.fit(
                surrogate_features(self._space, list(own)), list(own.values())
            )
            accuracies = surrogate.predict(surrogate_features(self._space, new)).tolist()
            latencies_ns = [estimate.latency_ns for estimate in self._predict(new)]
            ranks = ranks_beside(front(trained), accuracies, latencies_ns)
            new = [new[index] for index in np.argsort(ranks, kind="stable")]
        # A strategy that has converged may draw fewer new candidates than are asked for.
        return [*new, *(a for a in self._drawn if a in self._known), *self._drawn][:n]


def screened(strategy: Strategy, study: Study, space: Space, predict: Predict) -> Strategy:
    """Return the strategy with which a study is searched or resumed.

    Args:
        strategy: A new strategy with the study's settings.
        study: The study. Without a surrogate in its settings, the strategy is returned as it is.
        space: The study's space.
        predict: Returns the latency estimates of networks, in their order.
    """
    if study.settings.surrogate is None:
        return strategy
    asked = [finished for finished in study.rounds if finished.asked]
    recorded = [[trial.architecture for trial in finished.trials] for finished in asked]
    return ScreenedStrategy(strategy, space, study.settings.surrogate, predict, recorded)


def ranks_beside(
    known: Iterable[Trial], accuracies: Sequence[float], latencies_ns: Sequence[float]
) -> list[int]:
    """Return the rank of each candidate, which is how many fronts lie before its own.

    The first front is that of known networks and candidates together. The next one is that of
    what remains without the first, and so on.

    Args:
        known: Trials of the known networks.
        accuracies: The accuracy of each candidate, from 0 to 1.
        latencies_ns: The latency of each candidate.
    """
    points = points_of(known)
    accuracy = np.array([*accuracies, *(point.accuracy for point in points)])
    latency_ns = np.array([*latencies_ns, *(point.latency.latency_ns for point in points)])
    ranks = np.zeros(len(accuracy), dtype=np.int64)
    remaining = np.arange(len(accuracy))
    while len(remaining):
        on_front = pareto_front(accuracy[remaining].tolist(), latency_ns[remaining].tolist())
        remaining = np.delete(remaining, on_front)
        ranks[remaining] += 1
    return [int(rank) for rank in ranks[: len(accuracies)]]
