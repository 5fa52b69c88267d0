"""The full training of a network, by the MnasNet paper's recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from search.accuracy.checkpoint import restore_training, save_training
from search.accuracy.data.batches import random_crops, squares
from search.accuracy.data.datasets import OpenDataset
from search.accuracy.training import (
    calibrate,
    descend,
    network_for,
    normalized,
    put_channels_last,
    reference_images,
    smoothed_loss,
    statistics,
)
from search.space.architecture import Architecture
from search.study.settings import FullTraining

CHECKPOINT_S = 300.0  # A killed training loses at most so much.


def train_fully(
    architecture: Architecture,
    dataset: OpenDataset,
    recipe: FullTraining,
    checkpoint: Path,
    on_epoch: Callable[[int], None] = lambda finished: None,
) -> nn.Module:
    """Train a network in full and return it with its averaged weights, in evaluation mode.

    The training runs on what Accelerate finds: the processor, a GPU, or, under `accelerate
    launch`, one GPU for each process, and the processes share every batch.

    Args:
        architecture: The network to train.
        dataset: The images.
        recipe: How to train.
        checkpoint: A file that is written now and then. A training resumes from it as if it had
            not stopped.
        on_epoch: Called with the number of finished epochs.

    Raises:
        FloatingPointError: The training diverges.
        CheckpointError: The checkpoint is damaged, or another training's.
        DatasetError: No image of a batch can be read.
        StorageError: The checkpoint cannot be written.
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


class _Training:
    """A training's state and its steps."""

    def __init__(
        self,
        architecture: Architecture,
        dataset: OpenDataset,
        recipe: FullTraining,
        checkpoint: Path,
    ) -> None:
        on_gpu = torch.cuda.is_available()
        self.accelerator = Accelerator(mixed_precision="bf16" if on_gpu else "no")
        self.architecture, self.dataset, self.recipe = architecture, dataset, recipe
        self.checkpoint = checkpoint
        self.steps_per_epoch = max(1, len(dataset.train) // recipe.batch_size)
        self.steps = recipe.epochs * self.steps_per_epoch
        self.step = 0
        self.reference = reference_images(dataset, recipe.centre_share)
        self.mean, self.std = statistics(self.reference)
        self.network = network_for(
            architecture, dataset, seed=recipe.seed, dropout=recipe.dropout, classes=recipe.classes
        )
        put_channels_last(self.network)
        # Batch-norm's parameters and the biases are not decayed. TensorFlow, where the recipe
        # comes from, has its epsilon of 0.001 beneath the root.
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
        """Return the batches of an epoch from the batch `first` on.

        All processes draw the same order, and each reads its share of a batch.
        """
        recipe, dataset = self.recipe, self.dataset
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(dataset.train))
        size = min(recipe.batch_size, len(order))
        share = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        batches = [
            order[number * size : (number + 1) * size][share]
            for number in range(first, self.steps_per_epoch)
        ]
        if recipe.augment:
            seed = recipe.seed, epoch
            return random_crops(dataset.train, batches, dataset.unreadable, seed)
        return squares(dataset.train, batches, dataset.unreadable)

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """Take one step. What it draws depends on the seed and the step's number alone."""
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
        loss = smoothed_loss(logits, labels.to(device))
        if not math.isfinite(loss.item()):
            raise FloatingPointError("training diverged: the loss is not finite")
        descend(self.accelerator, self.optimizer, loss)
        self.step += 1
        # The average is shorter at first, like TensorFlow's average that counts updates.
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)

    def averaged(self) -> nn.Module:
        """Return the network with its averaged weights and their batch-norm statistics."""
        network: nn.Module = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        network.load_state_dict(self.average, strict=False)
        network.train()
        images = normalized(self.reference, self.mean, self.std)
        with torch.random.fork_rng(devices=[]):
            calibrate(network, images, self.recipe.batch_size)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint, from the main process only."""
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
        """Resume from the checkpoint if there is one."""
        found = restore_training(self.checkpoint, self.optimizer, self._made_with())
        if found is None:
            return
        networks, facts = found
        self.network.load_state_dict(networks["network"])
        for name, average in networks["average"].items():
            self.average[name].copy_(average)
        self.step = facts["step"]

    def _made_with(self) -> dict[str, Any]:
        """Return what decides the outcome of the training."""
        return {
            "architecture": self.architecture.id,
            "dataset": self.dataset.note,
            **asdict(self.recipe),
        }
