"""Accuracy by proxy: every candidate is trained from scratch, briefly, on a small task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.accuracy.datasets import Dataset
from search.architecture import Architecture


@dataclass(frozen=True)
class ProxyBudget:
    """What one evaluation may cost. Recorded in the study: accuracies of two budgets do
    not compare."""

    train_images: int = 2048
    val_images: int = 2048
    resolution: int = 32
    epochs: int = 2
    width_multiplier: float = 0.25
    stem_stride: int = 1
    batch_size: int = 64
    seed: int = 0
    limit_s: float = 120.0


@dataclass(frozen=True)
class AccuracyFailure:
    """An evaluation that did not come about: a type, never a number."""

    message: str


class ProxyAccuracy:
    def __init__(self, dataset: Dataset, budget: ProxyBudget, jobs: int | None = None) -> None:
        """jobs: worker processes; by default one for each core this process may use."""
        self.dataset = dataset
        self.budget = budget
        self.jobs = jobs

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[float | AccuracyFailure]:
        """Validation accuracies (0 to 1) in the order asked, equal for equal seeds whatever
        the number of jobs. `on_progress` is told how many are done as each one finishes."""
        raise NotImplementedError
