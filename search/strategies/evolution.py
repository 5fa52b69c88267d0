"""Regularized evolution (Real et al., arXiv 1802.01548), where the oldest are removed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from search.space.architecture import Architecture
from search.space.limits import MAX_DRAWS, Allows, everything, fitted
from search.space.space import Space
from search.strategies.adoption import differing_choices
from search.study.trial import Trial

Choices = tuple[int, ...]

POPULATION = 100
TOURNAMENT = 25  # drawn from the population for each child; the best of them is its parent


class Evolution:
    """A Strategy that maximizes the reward by mutating good architectures.

    POPULATION and TOURNAMENT are the paper's values. The strategy samples at random until the
    population is full. A trial without a reward does not enter the population.
    """

    def __init__(self, space: Space, seed: int, allows: Allows = everything) -> None:
        """Begin with an empty population.

        Args:
            space: The search space.
            seed: Seed of everything that is drawn.
            allows: Whether an architecture may be proposed.
        """
        self._space = space
        self._allows = allows
        self._rng = np.random.default_rng(seed)
        self._population: deque[tuple[float, Choices]] = deque(maxlen=POPULATION)
        self._asked: list[Choices] = []

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` mutated architectures, or random ones until the population is full."""
        self._asked = [self._allowed_child() for _ in range(n)]
        return [self._space.resolve(choices) for choices in self._asked]

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        """Take these architectures for those that were last asked for."""
        children = map(self._space.resolve, self._asked)
        for index, choices in differing_choices(self._space, children, architectures).items():
            self._asked[index] = choices

    def tell(self, trials: Sequence[Trial]) -> None:
        """Add the trials of the architectures that were last asked for to the population."""
        for choices, trial in zip(self._asked, trials, strict=True):
            if trial.reward is not None:
                self._population.append((trial.reward, choices))

    def statistics(self) -> Mapping[str, float]:
        """Return nothing, because evolution computes no statistics."""
        return {}

    def learn(self, trials: Sequence[Trial]) -> None:
        """Begin the population with these trials, which will be the first to be removed."""
        for trial in trials:
            choices = self._space.spell(trial.architecture)
            if choices is not None and trial.reward is not None:
                self._population.append((trial.reward, choices))

    def _allowed_child(self) -> Choices:
        for _ in range(MAX_DRAWS):
            child = self._child()
            if self._allows(self._space.resolve(child)):
                return child
        return fitted(self._space, child, self._allows)

    def _child(self) -> Choices:
        if len(self._population) < POPULATION:
            return self._space.sample(self._rng)
        drawn = self._rng.choice(POPULATION, TOURNAMENT, replace=False)
        _, parent = max(self._population[i] for i in drawn)
        return self._mutated(parent)

    def _mutated(self, parent: Choices) -> Choices:
        """Return a copy of the parent in which one active decision has another choice."""
        child = list(parent)
        index = self._rng.choice(np.flatnonzero(self._space.active(parent)))
        others = len(self._space.decisions[index].choices) - 1
        child[index] = (child[index] + 1 + int(self._rng.integers(others))) % (others + 1)
        return tuple(child)
