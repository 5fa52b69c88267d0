"""Accuracy by a supernet: weights shared by all networks of a space, trained once.

A candidate's weights are slices of the shared ones: the first channels, the first layers of a
block, and the centre of a kernel. Convolutions of different kinds share none. Candidates are
the modules of `search.network`, so that there is no second account of what a network is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from search.accuracy.checkpoint import (
    check_same,
    load_checkpoint,
    optimizer_tensors,
    prefixed,
    restore_optimizer,
    save_checkpoint,
    without_prefix,
)
from search.accuracy.datasets import Dataset
from search.accuracy.training import (
    CALIBRATION_IMAGES,
    LABEL_SMOOTHING,
    MOMENTUM,
    AccuracyFailure,
    ProxyBudget,
    calibrate,
    normalized,
    score,
    statistics,
    warm_cosine,
)
from search.architecture import Architecture, Block
from search.layers import scaled
from search.network import build_network, network_without_weights
from search.space import Space


@dataclass(frozen=True)
class SupernetBudget(ProxyBudget):
    """The training of all candidates at once.

    random_subnets: trained in each step beside the largest and the smallest one.
    limit_s: of one call's wall time; the next goes on after the last finished epoch.
    """

    epochs: int = 40
    batch_size: int = 64
    limit_s: float = 24 * 3600.0
    random_subnets: int = 2


class Supernet:
    """Its weights for a space and a dataset, untrained until `train`."""

    def __init__(self, space: Space, dataset: Dataset, budget: SupernetBudget) -> None:
        torch.set_num_threads(1)
        self.space, self.dataset, self.budget = space, dataset, budget
        self._blocks = _blocks_seen(space)
        self.weights = self._initial_weights()
        mean, std = statistics(dataset.train_images)
        self._images = normalized(dataset.train_images, mean, std)
        self._labels = torch.tensor(dataset.train_labels)
        self._val_images = normalized(dataset.val_images, mean, std)
        self._val_labels = torch.tensor(dataset.val_labels)

    def train(
        self, checkpoint: Path, on_epoch: Callable[[int], None] = lambda finished: None
    ) -> None:
        """By the sandwich rule (Yu et al. 2020, "BigNAS"): in every step the largest network
        learns from the labels; the smallest and some at random learn from it. Goes on after
        the last epoch that `checkpoint` holds, as if it had not stopped.

        Raises FloatingPointError where it diverges, TimeoutError, and CheckpointError where
        the checkpoint is another supernet's.
        """
        deadline = time.monotonic() + self.budget.limit_s
        optimizer = torch.optim.SGD(
            self.weights.values(),
            lr=self.budget.learning_rate,
            momentum=MOMENTUM,
            weight_decay=self.budget.weight_decay,
            nesterov=True,
        )
        epochs = self.budget.epochs
        for epoch in range(self._restore(checkpoint, optimizer), epochs):
            on_epoch(epoch)
            rng = np.random.default_rng([self.budget.seed, epoch])
            batches = list(self._batches(rng))
            for number, batch in enumerate(batches):
                for group in optimizer.param_groups:
                    step = epoch * len(batches) + number
                    factor = warm_cosine(step, epochs * len(batches))
                    group["lr"] = self.budget.learning_rate * factor
                self._step(batch, optimizer, rng)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the supernet took more than {self.budget.limit_s:g} s")
            self._save(checkpoint, optimizer, epoch + 1)
        on_epoch(epochs)

    def accuracy(self, architecture: Architecture) -> float:
        """The share (0 to 1) of the validation images that it names rightly with its slices
        of the weights, and batch-norm's statistics measured anew. Raises ValueError for an
        architecture that is larger than the space."""
        network = self._network(architecture)
        slices = self._slices(architecture, network)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(slices[name])
        calibrate(network, self._images[:CALIBRATION_IMAGES], self.budget.batch_size)
        return score(network, self._val_images, self._val_labels)

    def _step(
        self, batch: Tensor, optimizer: torch.optim.Optimizer, rng: np.random.Generator
    ) -> None:
        images, labels = self._images[batch], self._labels[batch]
        optimizer.zero_grad()
        anchor = self._sample(rng)
        taught = self._logits(self._resized(anchor, max), images)
        loss = F.cross_entropy(taught, labels, label_smoothing=LABEL_SMOOTHING)
        torch.autograd.backward(loss)
        teacher = taught.detach().softmax(1)
        students = [self._sample(rng) for _ in range(self.budget.random_subnets)]
        for student in (self._resized(anchor, min), *students):
            torch.autograd.backward(F.cross_entropy(self._logits(student, images), teacher))
        if not math.isfinite(loss.item()):
            raise FloatingPointError("the supernet's training diverged")
        optimizer.step()

    def _logits(self, architecture: Architecture, images: Tensor) -> Tensor:
        network = self._network(architecture)
        logits: Tensor = functional_call(network, self._slices(architecture, network), (images,))
        return logits

    def _network(self, architecture: Architecture) -> nn.Module:
        """Its modules, with nothing in their weights."""
        network = network_without_weights(
            scaled(architecture, self.budget.width_multiplier),
            classes=len(self.dataset.classes),
            stem_stride=self.budget.stem_stride,
            input_channels=self.dataset.channels,
        )
        return network.to_empty(device="cpu")

    def _slices(self, architecture: Architecture, network: nn.Module) -> dict[str, Tensor]:
        ops = [block.op for block in architecture.blocks]
        return {
            name: _slice(self.weights.get(_shared_name(name, ops)), parameter.shape)
            for name, parameter in network.named_parameters()
        }

    def _initial_weights(self) -> dict[str, Tensor]:
        """Those of the largest network with one kind of convolution, for each kind."""
        weights: dict[str, Tensor] = {}
        any_network = self.space.resolve([0] * len(self.space.decisions))
        for op in {block.op for seen in self._blocks for block in seen}:
            blocks = [
                next((block for block in seen if block.op == op), seen[0]) for seen in self._blocks
            ]
            network = build_network(
                self._resized(replace(any_network, blocks=tuple(blocks)), max),
                classes=len(self.dataset.classes),
                width_multiplier=self.budget.width_multiplier,
                stem_stride=self.budget.stem_stride,
                input_channels=self.dataset.channels,
                seed=self.budget.seed,
            )
            ops = [block.op for block in blocks]
            for name, parameter in network.named_parameters():
                weights.setdefault(_shared_name(name, ops), parameter)
        return dict(sorted(weights.items()))

    def _sample(self, rng: np.random.Generator) -> Architecture:
        return self.space.resolve(self.space.sample(rng))

    def _resized(
        self, architecture: Architecture, extreme: Callable[[list[Any]], Any]
    ) -> Architecture:
        """The largest or the smallest one with its kinds of convolutions and its skips."""
        blocks = [
            replace(
                block,
                expansion=extreme([b.expansion for b in seen if b.op == block.op]),
                kernel_size=extreme([b.kernel_size for b in seen]),
                se_ratio=extreme([b.se_ratio for b in seen]),
                out_channels=extreme([b.out_channels for b in seen]),
                layers=extreme([b.layers for b in seen]),
            )
            for block, seen in zip(architecture.blocks, self._blocks, strict=True)
        ]
        return replace(architecture, blocks=tuple(blocks))

    def _batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        size = min(self.budget.batch_size, len(self._images))
        order = torch.tensor(rng.permutation(len(self._images)))
        yield from order[: len(order) // size * size].view(-1, size)

    def _facts(self) -> dict[str, object]:
        budget = {name: value for name, value in asdict(self.budget).items() if name != "limit_s"}
        return {"space": self.space.name, "dataset": self.dataset.name, **budget}

    def _save(self, path: Path, optimizer: torch.optim.Optimizer, finished: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = prefixed("weights", self.weights)
        tensors |= prefixed("optimizer", optimizer_tensors(optimizer))
        save_checkpoint(path, tensors, {"finished_epochs": finished, "made_with": self._facts()})

    def _restore(self, path: Path, optimizer: torch.optim.Optimizer) -> int:
        """How many epochs are finished."""
        found = load_checkpoint(path)
        if found is None:
            return 0
        tensors, facts = found
        check_same(path, facts["made_with"], self._facts())
        with torch.no_grad():
            for name, weight in without_prefix("weights", tensors).items():
                self.weights[name].copy_(weight)
        restore_optimizer(optimizer, without_prefix("optimizer", tensors))
        return int(facts["finished_epochs"])


@dataclass(frozen=True)
class SupernetAccuracy:
    """`supernet` is trained."""

    supernet: Supernet

    def evaluate(
        self,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[float | AccuracyFailure]:
        """In the order asked, each in well under a second."""
        outcomes: list[float | AccuracyFailure] = []
        for architecture in architectures:
            try:
                outcomes.append(self.supernet.accuracy(architecture))
            except ValueError as error:
                outcomes.append(AccuracyFailure(str(error)))
            on_progress(len(outcomes))
        return outcomes


def _blocks_seen(space: Space) -> list[list[Block]]:
    """Of each block of the space, every choice of every decision at least once."""
    first = [0] * len(space.decisions)
    architectures = [
        space.resolve([*first[:position], choice, *first[position + 1 :]])
        for position, decision in enumerate(space.decisions)
        for choice in range(len(decision.choices))
    ]
    return [list(blocks) for blocks in zip(*(a.blocks for a in architectures), strict=True)]


def _shared_name(name: str, ops: Sequence[str]) -> str:
    """Of a network's parameter: "blocks.2.0.body.depthwise.0.weight", say, is shared among
    the networks whose third block is of the same kind."""
    part, _, rest = name.partition(".")
    return f"{ops[int(rest.partition('.')[0])]}.{name}" if part == "blocks" else name


def _slice(shared: Tensor | None, shape: torch.Size) -> Tensor:
    if shared is None or any(have < want for have, want in zip(shared.shape, shape, strict=True)):
        raise ValueError("the architecture is larger than the space that the supernet is of")
    for dim, size in enumerate(shape):
        start = (shared.shape[dim] - size) // 2 if dim >= 2 else 0  # kernels share their centre
        shared = shared.narrow(dim, start, size)
    return shared
