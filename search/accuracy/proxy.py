"""Accuracy by proxy: every candidate is trained from scratch, briefly, on a small task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from joblib import Parallel, delayed

from search.accuracy.data.datasets import Dataset
from search.accuracy.proxy_training import AccuracyFailure, ProxyBudget, train_and_score
from search.accuracy.workers import local_workers, ray_workers
from search.space.architecture import Architecture

PROCESS_START_S = 120.0  # to import PyTorch on a busy machine


class ProxyAccuracy:
    def __init__(
        self,
        dataset: Dataset,
        budget: ProxyBudget,
        jobs: int | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        """On the Ray cluster that RAY_ADDRESS names, where it is set; else in `jobs` processes,
        as `local_workers` takes them. Raises ValueError where there is no such cluster.

        checkpoints: the folder of those of long trainings, which all workers must see.
        """
        self.dataset, self.budget, self.checkpoints = dataset, budget, checkpoints
        self.workers = ray_workers() if os.environ.get("RAY_ADDRESS") else local_workers(jobs)

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[float | AccuracyFailure]:
        """Validation accuracies (0 to 1) in the order asked, equal for equal budgets whatever
        the workers. `on_progress` is told how many are done as each one finishes. Interrupted,
        long trainings go on when the same architectures are asked for next."""
        paths = [self._checkpoint(architecture) for architecture in architectures]
        if self.checkpoints is not None:
            for path in set(self.checkpoints.glob("*")).difference(paths):
                path.unlink()
        outcomes: dict[int, float | AccuracyFailure] = {}

        def collect(indices: Iterable[int]) -> None:
            for index, outcome in self._parallel()(
                delayed(_indexed)(
                    index, architectures[index], self.dataset, self.budget, paths[index]
                )
                for index in indices
            ):
                outcomes[index] = outcome
                if on_progress is not None:
                    on_progress(len(outcomes))

        try:
            collect(range(len(architectures)))
        except self.workers.lost:
            # One of several took its process down or hangs: those left try again, one by one.
            left = [index for index in range(len(architectures)) if index not in outcomes]
            for index in left:
                try:
                    collect([index])
                except self.workers.lost:
                    outcomes[index] = AccuracyFailure("its process was killed, or hung")
        return [outcomes[index] for index in range(len(architectures))]

    def _checkpoint(self, architecture: Architecture) -> Path | None:
        return self.checkpoints and self.checkpoints / f"{architecture.id}.safetensors"

    def _parallel(self) -> Parallel:
        """joblib would run a single job in this very process, where a crash takes all with
        it: so there are two workers at least, and `pre_dispatch` bounds what runs at once."""
        return Parallel(
            n_jobs=max(2, self.workers.at_once),
            backend=self.workers.backend,
            pre_dispatch=self.workers.at_once,
            batch_size=1,
            return_as="generator_unordered",
            timeout=self.budget.limit_s + PROCESS_START_S,
        )


def _indexed(
    index: int,
    architecture: Architecture,
    dataset: Dataset,
    budget: ProxyBudget,
    checkpoint: Path | None,
) -> tuple[int, float | AccuracyFailure]:
    if torch.cuda.is_available():  # of several GPUs each takes its share of the candidates
        torch.cuda.set_device(index % torch.cuda.device_count())
    return index, train_and_score(architecture, dataset, budget, checkpoint)
