"""An adapter from Optuna's samplers to a strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from search.space.architecture import Architecture
from search.space.limits import MAX_DRAWS, Allows, everything, fitted
from search.space.space import Space
from search.strategies.adoption import differing_choices
from search.study.combined_latency import on_each_target
from search.study.trial import Trial


def reward_alone(trial: Trial) -> list[float] | None:
    """Return the reward as the only objective, or None if the trial has failed."""
    return None if trial.reward is None else [trial.reward]


def accuracy_and_latency(trial: Trial) -> list[float] | None:
    """Return accuracy and latency in ns as two objectives, or None if the trial has failed."""
    if trial.reward is None or trial.accuracy is None or trial.latency is None:
        return None
    return [trial.accuracy, float(trial.latency.latency_ns)]


def accuracy_and_latencies(trial: Trial) -> list[float] | None:
    """Return accuracy and the latency on each target in ns, or None if the trial has failed."""
    if trial.reward is None or trial.accuracy is None or trial.latency is None:
        return None
    return [trial.accuracy, *(float(each.latency_ns) for each in on_each_target(trial.latency))]


class OptunaStrategy:
    """A Strategy that asks one of Optuna's samplers, over a study in memory.

    Every decision is a categorical parameter. Inactive decisions are parameters as well, which
    have no effect on the objectives.
    """

    def __init__(
        self,
        space: Space,
        sampler: BaseSampler,
        objectives: Callable[[Trial], list[float] | None],
        directions: Sequence[StudyDirection],
        allows: Allows = everything,
    ) -> None:
        """Make an Optuna study in memory.

        Args:
            space: The search space.
            sampler: Optuna's sampler.
            objectives: Returns the objectives of a trial, or None if the trial has failed.
            directions: Whether each objective is maximized or minimized.
            allows: Whether an architecture may be proposed.
        """
        self._space = space
        self._allows = allows
        self._objectives = objectives
        self._study = optuna.create_study(sampler=sampler, directions=directions)
        self._distributions: dict[str, BaseDistribution] = {
            decision.name: CategoricalDistribution(range(len(decision.choices)))
            for decision in space.decisions
        }
        self._asked: list[optuna.Trial] = []

    def learn(self, trials: Sequence[Trial]) -> None:
        """Learn from trials as if the sampler had proposed their architectures."""
        for trial in trials:
            choices = self._space.spell(trial.architecture)
            if choices is not None:
                self._asked = [self._propose(choices)]
                self.tell([trial])

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` architectures that the sampler proposes."""
        drawn = [self._draw() for _ in range(n)]
        self._asked = [asked for asked, _ in drawn]
        return [architecture for _, architecture in drawn]

    def _draw(self) -> tuple[optuna.Trial, Architecture]:
        for _ in range(MAX_DRAWS):
            asked = self._study.ask(self._distributions)
            choices = self._choices(asked)
            if self._allows(architecture := self._space.resolve(choices)):
                return asked, architecture
            self._study.tell(asked, state=TrialState.FAIL)
        within = fitted(self._space, choices, self._allows)
        return self._propose(within), self._space.resolve(within)

    def _choices(self, asked: optuna.Trial) -> list[int]:
        return [asked.params[name] for name in self._distributions]

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        """Take these architectures for the sampler's proposals; those that differ have failed."""
        proposed = (self._space.resolve(self._choices(asked)) for asked in self._asked)
        for index, choices in differing_choices(self._space, proposed, architectures).items():
            self._study.tell(self._asked[index], state=TrialState.FAIL)
            self._asked[index] = self._propose(choices)

    def _propose(self, choices: Sequence[int]) -> optuna.Trial:
        """Return an Optuna trial with these choices, which replace the sampler's."""
        self._study.enqueue_trial(dict(zip(self._distributions, choices, strict=True)))
        return self._study.ask(self._distributions)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell the sampler the objectives of the architectures that were last asked for."""
        for asked, trial in zip(self._asked, trials, strict=True):
            values = self._objectives(trial)
            if values is None:
                self._study.tell(asked, state=TrialState.FAIL)
            else:
                self._study.tell(asked, values)

    def statistics(self) -> Mapping[str, float]:
        """Return nothing, because Optuna's samplers report no statistics."""
        return {}
