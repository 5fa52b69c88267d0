"""A network trained in full, by the paper's recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from search.accuracy.checkpoint import restore_training, save_training
from search.accuracy.data.batches import consecutive, random_crops, squares
from search.accuracy.data.datasets import OpenDataset
from search.accuracy.data.images import UInt8Array
from search.accuracy.proxy_training import (
    CALIBRATION_IMAGES,
    EVALUATION_BATCH,
    LABEL_SMOOTHING,
    calibrate,
    normalized,
    statistics,
)
from search.space.architecture import Architecture
from search.space.deployment import RESOLUTION
from search.space.network import build_network

CHECKPOINT_S = 300.0  # at most so much is lost to a kill


@dataclass(frozen=True)
class Recipe:
    """That of Tan et al. 2019, section 5, and of the authors' public code.

    resolution: of the images, and of the network as it is exported.
    learning_rate: for a batch of 4096; it is scaled with the batch.
    decay, decay_epochs: the rate's factor, and how often it falls by it.
    ema_decay: of the average of the weights, which is what is kept.
    augment: learn from random crops, mirrored or not, and use the centre only of what is not
    learned from; else the largest square of every image is what is seen of it.
    """

    epochs: int = 350
    resolution: int = RESOLUTION
    batch_size: int = 256
    learning_rate: float = 0.256
    warm_up_epochs: float = 5.0
    decay: float = 0.97
    decay_epochs: float = 2.4
    weight_decay: float = 1e-5
    dropout: float = 0.2
    ema_decay: float = 0.9999
    augment: bool = False
    seed: int = 0

    @property
    def centre_share(self) -> float:
        """Of the shorter side of an image that is not learned from."""
        return 0.875 if self.augment else 1.0

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs and parts of one."""
        peak = self.learning_rate * self.batch_size / 4096
        if epoch < self.warm_up_epochs:
            return peak * epoch / self.warm_up_epochs
        falls = (epoch - self.warm_up_epochs) // self.decay_epochs
        return float(peak * self.decay**falls)


def train_fully(
    architecture: Architecture,
    dataset: OpenDataset,
    recipe: Recipe,
    checkpoint: Path,
    on_epoch: Callable[[int], None] = lambda finished: None,
) -> nn.Module:
    """The network with its averaged weights, in evaluation mode, where it was trained.
    `on_epoch` is told how many epochs are finished.

    Runs on what Accelerate finds: the processor, a GPU, or, started by `accelerate launch`,
    one GPU for each process, which share every batch. Goes on where `checkpoint` was
    written last, as if it had not stopped; where nothing is left to do, at once.

    Raises FloatingPointError where it diverges, CheckpointError, DatasetError, and OSError.
    """
    training = _Training(architecture, dataset, recipe, checkpoint)
    training.restore()
    saved_s = time.monotonic()
    while training.step < training.steps:
        finished, first = divmod(training.step, training.steps_per_epoch)
        if first == 0:
            on_epoch(finished)
        for images, labels in training.batches(finished, first):
            training.learn(images, labels)
            if time.monotonic() - saved_s > CHECKPOINT_S:
                training.save()
                saved_s = time.monotonic()
        training.save()
        saved_s = time.monotonic()
    on_epoch(recipe.epochs)
    return training.averaged()


@lru_cache(maxsize=1)  # a training, its score and its export each ask for them
def reference_images(dataset: OpenDataset, recipe: Recipe) -> UInt8Array:
    """The first to learn from, by which pixels are normalized and batch-norm is calibrated."""
    batches = consecutive(min(CALIBRATION_IMAGES, len(dataset.train)), EVALUATION_BATCH)
    read = squares(dataset.train, batches, dataset.unreadable, recipe.centre_share)
    return torch.cat([images for images, _ in read]).numpy()


def validation_batches(
    dataset: OpenDataset, recipe: Recipe, mean: Tensor, std: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalized images and their labels."""
    batches = consecutive(len(dataset.validation), EVALUATION_BATCH)
    share = recipe.centre_share
    for images, labels in squares(dataset.validation, batches, dataset.unreadable, share):
        yield normalized(images, mean, std), labels


class _Training:
    """What changes from step to step, and how."""

    def __init__(
        self, architecture: Architecture, dataset: OpenDataset, recipe: Recipe, checkpoint: Path
    ) -> None:
        on_gpu = torch.cuda.is_available()
        self.accelerator = Accelerator(mixed_precision="bf16" if on_gpu else "no")
        self.architecture, self.dataset, self.recipe = architecture, dataset, recipe
        self.checkpoint = checkpoint
        self.steps_per_epoch = max(1, len(dataset.train) // recipe.batch_size)
        self.steps = recipe.epochs * self.steps_per_epoch
        self.step = 0
        self.reference = reference_images(dataset, recipe)
        self.mean, self.std = statistics(self.reference)
        self.network = build_network(
            architecture,
            classes=len(dataset.classes),
            input_channels=dataset.channels,
            dropout=recipe.dropout,
            seed=recipe.seed,
        )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Batch-norm's and the biases are not decayed. TensorFlow, where the recipe is from,
        # has its epsilon of 0.001 beneath the root.
        parameters = list(self.network.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.model, self.optimizer = self.accelerator.prepare(
            self.network,
            torch.optim.RMSprop(
                groups,
                alpha=0.9,
                momentum=0.9,
                eps=math.sqrt(1e-3),
                weight_decay=recipe.weight_decay,
            ),
        )
        self.average = {n: p.detach().clone() for n, p in self.network.named_parameters()}

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Of an epoch, from its batch `first` on. All processes draw the same, and each reads
        its share of a batch."""
        recipe, dataset = self.recipe, self.dataset
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(dataset.train))
        size = min(recipe.batch_size, len(order))
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        batches = [
            order[number * size : (number + 1) * size][mine]
            for number in range(first, self.steps_per_epoch)
        ]
        if recipe.augment:
            seed = recipe.seed, epoch
            return random_crops(dataset.train, batches, dataset.unreadable, seed)
        return squares(dataset.train, batches, dataset.unreadable)

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One step. Everything random in it comes from the seed and the step's number."""
        processes = self.accelerator.num_processes
        torch.manual_seed(
            (self.recipe.seed << 32) + self.step * processes + self.accelerator.process_index
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate((self.step + 1) / self.steps_per_epoch)
        device = self.accelerator.device
        self.model.train()
        with self.accelerator.autocast():
            logits = self.model(normalized(images.to(device), self.mean, self.std))
        loss = F.cross_entropy(logits.float(), labels.to(device), label_smoothing=LABEL_SMOOTHING)
        if not math.isfinite(loss.item()):
            raise FloatingPointError("training diverged")
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.step += 1
        # Shorter at first, as TensorFlow's average that counts updates.
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)

    def averaged(self) -> nn.Module:
        """Batch-norm's statistics are those of the averaged weights, in full precision."""
        network: nn.Module = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        network.load_state_dict(self.average, strict=False)
        network.train()
        images = normalized(self.reference, self.mean, self.std)
        with torch.random.fork_rng(devices=[]):
            calibrate(network, images, self.recipe.batch_size)
        return network.eval()

    def save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        save_training(
            self.checkpoint,
            {"network": self.network.state_dict(), "average": self.average},
            self.optimizer,
            {"step": self.step},
            self._made_with(),
        )

    def restore(self) -> None:
        found = restore_training(self.checkpoint, self.optimizer, self._made_with())
        if found is None:
            return
        networks, facts = found
        self.network.load_state_dict(networks["network"])
        for name, average in networks["average"].items():
            self.average[name].copy_(average)
        self.step = facts["step"]

    def _made_with(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "architecture": self.architecture.id,
            "dataset": self.dataset.note,
            **asdict(self.recipe),
        }
