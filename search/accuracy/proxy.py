"""Accuracy from the proxy task: every candidate is trained from scratch, briefly."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

from search.accuracy.accuracy import AccuracyFailure, Repeat
from search.accuracy.data.datasets import Dataset, OpenDataset
from search.accuracy.proxy_training import train_and_score
from search.accuracy.workers import local_workers, ray_workers
from search.space.architecture import Architecture
from search.study.settings import ProxyBudget

PROCESS_START_S = 120.0  # for importing PyTorch on a busy machine


class ProxyAccuracy:
    """A source of accuracies that trains each candidate briefly, several at a time."""

    def __init__(
        self,
        dataset: Dataset | OpenDataset,
        budget: ProxyBudget,
        jobs: int | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        """Find the workers: a Ray cluster where RAY_ADDRESS is set, else local processes.

        Args:
            dataset: The images. Where they are read while a training goes on, all workers see the
                files.
            budget: What one training may cost.
            jobs: Number of local processes, as `local_workers` takes it.
            checkpoints: Folder for the checkpoints of long trainings, which all workers see.

        Raises:
            ValueError: RAY_ADDRESS names no cluster that can be used.
        """
        self.dataset, self.budget, self.checkpoints = dataset, budget, checkpoints
        self.workers = ray_workers() if os.environ.get("RAY_ADDRESS") else local_workers(jobs)

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[float | AccuracyFailure]:
        """Return the validation accuracy (0 to 1) of each architecture, in the order given.

        Equal budgets give equal accuracies, whatever the workers. After an interruption, long
        trainings resume when the same architectures are asked for next.

        Args:
            architectures: The networks, all different.
            on_progress: Called with the number of finished trainings.
        """
        return self._train([Repeat(a, 0) for a in architectures], on_progress)

    def evaluate_again(
        self, repeats: Sequence[Repeat], on_progress: Callable[[int], None] | None = None
    ) -> list[float | AccuracyFailure]:
        """Return the validation accuracy (0 to 1) of each repeat, in the order given.

        Its initial weights and the order of its images differ from those of the network's other
        trainings. The images are the same.

        Args:
            repeats: The trainings, all different.
            on_progress: Called with the number of finished trainings.
        """
        return self._train(repeats, on_progress)

    def _train(
        self, trainings: Sequence[Repeat], on_progress: Callable[[int], None] | None
    ) -> list[float | AccuracyFailure]:
        """Return the accuracy of each training, in the order given; number 0 is the first one."""
        paths = [self._checkpoint(training) for training in trainings]
        if self.checkpoints is not None:
            for path in set(self.checkpoints.glob("*")).difference(paths):
                path.unlink()
        outcomes: dict[int, float | AccuracyFailure] = {}

        jobs = [
            delayed(_indexed)(
                index,
                training.architecture,
                self.dataset,
                replace(self.budget, seed=seed_of(self.budget.seed, training.number)),
                path,
            )
            for index, (training, path) in enumerate(zip(trainings, paths, strict=True))
        ]

        def collect(indices: Iterable[int]) -> None:
            with warnings.catch_warnings():
                # joblib replaces a process whose memory has grown, as it does with PyTorch.
                warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
                for index, outcome in self._parallel()(jobs[index] for index in indices):
                    outcomes[index] = outcome
                    if on_progress is not None:
                        on_progress(len(outcomes))

        try:
            collect(range(len(trainings)))
        except self.workers.lost:
            # One of several killed its process or hangs. The remaining ones try again, one by
            # one.
            remaining = [index for index in range(len(trainings)) if index not in outcomes]
            for index in remaining:
                try:
                    collect([index])
                except self.workers.lost:
                    outcomes[index] = AccuracyFailure(
                        "its training process was killed or did not respond"
                    )
        return [outcomes[index] for index in range(len(trainings))]

    def _checkpoint(self, training: Repeat) -> Path | None:
        number = f"-{training.number}" if training.number else ""
        name = f"{training.architecture.id}{number}.safetensors"
        return self.checkpoints and self.checkpoints / name

    def _parallel(self) -> Parallel:
        """Return a joblib pool of at least two workers.

        joblib would run a single job in this process, where a crash would end the search. So
        there are two workers at least, and `pre_dispatch` bounds how many run at once.
        """
        return Parallel(
            n_jobs=max(2, self.workers.at_once),
            backend=self.workers.backend,
            pre_dispatch=self.workers.at_once,
            batch_size=1,
            return_as="generator_unordered",
            timeout=self.budget.limit_s + PROCESS_START_S,
        )


def seed_of(seed: int, number: int) -> int:
    """Return the seed of a network's training: the budget's for the first one, number 0.

    The others are far from it, so that studies with neighbouring seeds share none.
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


def _indexed(
    index: int,
    architecture: Architecture,
    dataset: Dataset | OpenDataset,
    budget: ProxyBudget,
    checkpoint: Path | None,
) -> tuple[int, float | AccuracyFailure]:
    if torch.cuda.is_available():  # Each of several GPUs takes its share.
        torch.cuda.set_device(index % torch.cuda.device_count())
    return index, train_and_score(architecture, dataset, budget, checkpoint)
