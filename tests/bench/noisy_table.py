"""Accel-NASBench's accuracies with the noise of a short training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search.accuracy.accuracy import Repeat
from search.space.architecture import Architecture
from tests.bench.table_lab import TableLab


@dataclass(frozen=True)
class NoisyTable:
    """A source of accuracies whose noise is drawn for each network, number and seed.

    Attributes:
        lab: Says what the accuracies really are.
        seed: The seed.
        share: Standard deviation of the noise, as a share of that of the table's accuracies.
    """

    lab: TableLab
    seed: int
    share: float

    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None]
    ) -> list[float]:
        return self.evaluate_again([Repeat(each, 0) for each in architectures], on_done)

    def evaluate_again(
        self, repeats: Sequence[Repeat], on_done: Callable[[int], None]
    ) -> list[float]:
        on_done(len(repeats))
        scale = self.share * float(np.std(self.lab.accuracies))
        true = self.lab.accuracy.evaluate([each.architecture for each in repeats], on_done)
        return [
            float(np.clip(accuracy + scale * self._drawn(each), 0, 1))
            for accuracy, each in zip(true, repeats, strict=True)
            if isinstance(accuracy, float)
        ]

    def _drawn(self, repeat: Repeat) -> float:
        entropy = [self.seed, repeat.number, int(repeat.architecture.id, 16)]
        return float(np.random.default_rng(entropy).standard_normal())
