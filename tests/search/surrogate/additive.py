"""Networks of a real space whose accuracy is a sum over their decisions, as it nearly is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.space import accel_nas_bench_space

SPACE = accel_nas_bench_space()
NOISE = 0.03  # standard deviation of a training's accuracy


def networks(count: int, seed: int = 0) -> list[Architecture]:
    """Draw different networks."""
    rng = random.Random(seed)
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        drawn[SPACE.resolve(SPACE.sample(rng))] = None
    return list(drawn)


def true_accuracy(architecture: Architecture) -> float:
    choices = SPACE.spell(architecture)
    assert choices is not None
    parts = (
        random.Random(f"{decision.name} {choice}").uniform(0, 0.04)
        for decision, choice in zip(SPACE.decisions, choices, strict=True)
    )
    return 0.1 + sum(parts)


def trained_accuracy(architecture: Architecture) -> float:
    """The true accuracy with the noise of one training."""
    return true_accuracy(architecture) + random.Random(architecture.id).gauss(0, NOISE)


def latency_ns(architecture: Architecture) -> int:
    return counts(architecture).multiply_adds


@dataclass
class NoisyTraining:
    """A source of accuracies; `asked` keeps what it was asked for."""

    asked: list[Architecture] = field(default_factory=list)

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float]:
        self.asked += architectures
        on_done(len(architectures))
        return list(map(trained_accuracy, architectures))
