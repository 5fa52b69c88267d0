"""A supernet's training, and accuracy by the networks that are cut out of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.accuracy.checkpoint import restore_training, save_training
from search.accuracy.datasets import Dataset
from search.accuracy.supernet import Supernet, largest, resized
from search.accuracy.training import (
    EVALUATION_BATCH,
    LABEL_SMOOTHING,
    MOMENTUM,
    AccuracyFailure,
    ProxyBudget,
    calibrate,
    in_batches,
    normalized,
    score,
    statistics,
    warm_cosine,
)
from search.architecture import Architecture
from search.space import Space

CALIBRATION_IMAGES = 256  # for the running statistics of batch-norm
ADAPTATION_STEPS = 10  # of a network by itself
ADAPTATION_BATCH = 32
ADAPTATION_LEARNING_RATE = 0.05
MAX_GRADIENT_NORM = 10.0


@dataclass(frozen=True)
class SupernetBudget:
    """What the one training of all networks may cost.

    epochs: on few images more of them rank worse, not better (`tests/bench/bench_supernet.py`).
    random_networks: trained in each step, beside the largest and the smallest one.
    alone_share: of the steps, at their start, in which the largest network learns by itself:
    it is the teacher.
    blockwise_share: of the steps, until which blocks of the others are taught one by one.
    block_weight: of the distance from the teacher's blocks, beside the cross-entropy.
    """

    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    random_networks: int = 2
    alone_share: float = 0.1
    blockwise_share: float = 0.5
    block_weight: float = 4.0

    def __post_init__(self) -> None:
        if not 0 <= self.alone_share < self.blockwise_share <= 1:
            raise ValueError("alone_share is a share below blockwise_share, itself one up to 1")


def train_supernet(
    space: Space,
    dataset: Dataset,
    task: ProxyBudget,
    budget: SupernetBudget,
    checkpoint: Path,
    on_epoch: Callable[[int], None] = lambda finished: None,
) -> Supernet:
    """By the sandwich rule with in-place distillation (Yu et al. 2020, "BigNAS"): in every
    step the largest network learns from the labels, the smallest one and some at random from
    the labels and from it. `task` says what the networks are, and the seed. `on_epoch` is
    told how many epochs are finished.

    Networks that share so little as a space of several kinds of convolutions, many without a
    skip, do not learn that way from nothing: none gives what the next block of another can
    use. So it is each block that has a teacher, the largest network's (Li et al. 2020,
    "DNA"), whose first channels it is to give; and at first it is given the teacher's input,
    later ever more often that of its own network.

    Goes on after the last epoch that `checkpoint` holds, as if it had not stopped; where none
    is left, at once. Runs on the GPU, where there is one; on one thread, as what a network of
    this size has to do is too little for several, and with cuDNN's deterministic algorithms,
    and leaves this process so.

    Raises FloatingPointError where it diverges, CheckpointError, and OSError.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    training = _Training(space, dataset, task, budget, checkpoint)
    training.restore()
    while training.finished_epochs < budget.epochs:
        on_epoch(training.finished_epochs)
        training.epoch()
        training.save()
    on_epoch(budget.epochs)
    return training.supernet


@dataclass(frozen=True)
class SupernetAccuracy:
    """`supernet` is trained, on `dataset`."""

    supernet: Supernet
    dataset: Dataset

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[float | AccuracyFailure]:
        """Validation accuracies (0 to 1) in the order asked, each of a network cut out that has
        learned for ADAPTATION_STEPS by itself, with batch-norm's statistics its own; what is
        larger than the space is a failure. All networks see the same images in the same order.
        """
        mean, std = statistics(self.dataset.train_images)
        device = self.supernet.device
        seen = normalized(
            self.dataset.train_images[: ADAPTATION_STEPS * ADAPTATION_BATCH], mean, std
        ).to(device)
        named = torch.tensor(self.dataset.train_labels[: len(seen)]).to(device)
        images = normalized(self.dataset.val_images, mean, std).to(device)
        labels = torch.tensor(self.dataset.val_labels)
        outcomes: list[float | AccuracyFailure] = []
        for architecture in architectures:
            try:
                network = self.supernet.cut_out(architecture)
                _adapt(network, seen, named)
                calibrate(network, seen[:CALIBRATION_IMAGES], EVALUATION_BATCH)
                outcomes.append(score(network, in_batches(images, labels)))
            except ValueError as error:
                outcomes.append(AccuracyFailure(str(error)))
            on_progress(len(outcomes))
        return outcomes


def _adapt(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """What networks share is nobody's own: ranked without these steps, they rank by how well
    they bear that, not by how well they learn."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=ADAPTATION_LEARNING_RATE,
        momentum=MOMENTUM,
        nesterov=True,
        fused=True,
    )
    batches = zip(
        torch.split(images, ADAPTATION_BATCH), torch.split(labels, ADAPTATION_BATCH), strict=True
    )
    for step, (x, y) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = ADAPTATION_LEARNING_RATE * warm_cosine(step, ADAPTATION_STEPS)
        loss = F.cross_entropy(network(x), y, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


class _Training:
    """What changes from epoch to epoch, and how."""

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        task: ProxyBudget,
        budget: SupernetBudget,
        checkpoint: Path,
    ) -> None:
        self.dataset, self.task, self.budget = dataset, task, budget
        self.checkpoint = checkpoint
        self.supernet = Supernet(
            space,
            classes=len(dataset.classes),
            width_multiplier=task.width_multiplier,
            stem_stride=task.stem_stride,
            input_channels=dataset.channels,
            seed=task.seed,
            device="cuda" if torch.cuda.is_available() else "cpu",
        )
        self.optimizer = torch.optim.SGD(
            self.supernet.weights.values(),
            lr=budget.learning_rate,
            momentum=MOMENTUM,
            weight_decay=budget.weight_decay,
            nesterov=True,
        )
        device = self.supernet.device
        images = normalized(dataset.train_images, *statistics(dataset.train_images))
        self.images, self.labels = images.to(device), torch.tensor(dataset.train_labels).to(device)
        self.batch_size = min(budget.batch_size, len(self.labels))
        self.steps_per_epoch = len(self.labels) // self.batch_size
        self.finished_epochs = 0

    def epoch(self) -> None:
        """Everything random in it comes from the seed and the epoch's number."""
        rng = np.random.default_rng([self.task.seed, self.finished_epochs])
        order = torch.from_numpy(rng.permutation(len(self.labels))).to(self.labels.device)
        steps = self.budget.epochs * self.steps_per_epoch
        for number in range(self.steps_per_epoch):
            step = self.finished_epochs * self.steps_per_epoch + number
            for group in self.optimizer.param_groups:
                group["lr"] = self.budget.learning_rate * warm_cosine(step, steps)
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            self._learn(self.images[batch], self.labels[batch], step / steps, rng)
        self.finished_epochs += 1

    def _learn(
        self, images: Tensor, labels: Tensor, progress: float, rng: np.random.Generator
    ) -> None:
        """One step of all the networks of the sandwich."""
        space, budget = self.supernet.space, self.budget
        self.optimizer.zero_grad()
        *blocks, logits = self.supernet.outputs(space.resolve(largest(space)), images)
        loss = self._on_labels(logits, labels)
        torch.autograd.backward(loss)
        if progress >= budget.alone_share:
            teachers = [block.detach() for block in blocks]
            smallest = resized(space, space.sample(rng), min)
            drawn = [space.sample(rng) for _ in range(budget.random_networks)]
            left = (budget.blockwise_share - progress) / (
                budget.blockwise_share - budget.alone_share
            )
            for choices in (smallest, *drawn):
                inputs = [teacher if rng.random() < left else None for teacher in teachers]
                *blocks, logits = self.supernet.outputs(space.resolve(choices), images, inputs)
                distance = torch.stack(list(map(_distance, blocks, teachers))).mean()
                loss = self._on_labels(logits, labels) + budget.block_weight * distance
                torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.supernet.weights.values(), MAX_GRADIENT_NORM)
        self.optimizer.step()

    def _on_labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
        if not math.isfinite(loss.item()):
            raise FloatingPointError("the supernet's training diverged")
        return loss

    def save(self) -> None:
        save_training(
            self.checkpoint,
            {"weights": {**self.supernet.weights}},
            self.optimizer,
            {"finished_epochs": self.finished_epochs},
            self._made_with(),
        )

    def restore(self) -> None:
        found = restore_training(self.checkpoint, self.optimizer, self._made_with())
        if found is None:
            return
        networks, facts = found
        with torch.no_grad():
            for name, weight in networks["weights"].items():
                self.supernet.weights[name].copy_(weight)
        self.finished_epochs = facts["finished_epochs"]

    def _made_with(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "space": self.supernet.space.name,
            "dataset": self.dataset.note,
            "resolution": self.task.resolution,
            "width_multiplier": self.task.width_multiplier,
            "stem_stride": self.task.stem_stride,
            "seed": self.task.seed,
            **asdict(self.budget),
        }


def _distance(block: Tensor, teacher: Tensor) -> Tensor:
    """Mean square, of the teacher's first channels; 1 for a block that gives their mean."""
    return F.mse_loss(block, teacher[:, : block.shape[1]]) / teacher.var()
