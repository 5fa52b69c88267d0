"""One candidate's short training, from scratch to a validation accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from latlab.domain.errors import StorageError
from search.accuracy.checkpoint import restore_training, save_training
from search.accuracy.data.datasets import Dataset
from search.accuracy.data.images import UInt8Array
from search.space.architecture import Architecture
from search.space.network import build_network

MOMENTUM = 0.9
WARM_UP_SHARE = 0.2  # of the steps
LABEL_SMOOTHING = 0.1
CALIBRATION_IMAGES = 512  # for the running statistics of batch-norm
EVALUATION_BATCH = 128
CHECKPOINT_S = 60.0  # at most so much is lost to a kill
CHECKED_STEPS = 16  # between looks at the loss, each of which waits for a GPU


@dataclass(frozen=True)
class ProxyBudget:
    """What one evaluation may cost. Recorded in the study: accuracies under two budgets do
    not compare.

    batch_size, learning_rate: those whose accuracies of twelve random architectures agreed
    best between two seeds, for their cost (rates of 0.03 to 0.3; AdamW learned less).
    limit_s: one training's wall time since it last began or went on, after which it is a
    failure.
    """

    train_images: int = 2048
    val_images: int = 1024
    resolution: int = 32
    epochs: int = 2
    width_multiplier: float = 0.25
    stem_stride: int = 1
    batch_size: int = 32
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    seed: int = 0
    limit_s: float = 300.0


@dataclass(frozen=True)
class AccuracyFailure:
    """An evaluation that did not come about: a type, never a number."""

    message: str


def train_and_score(
    architecture: Architecture,
    dataset: Dataset,
    budget: ProxyBudget,
    checkpoint: Path | None = None,
) -> float | AccuracyFailure:
    """The share (0 to 1) of the validation images that the trained network names rightly.

    Candidates share everything random: initial weights and the order of the images come from
    the seed alone, so that what is left between two of them is the architecture. Runs on what
    Accelerate finds, a GPU in bfloat16, where the seed decides as well, for one model of GPU;
    on one thread and with cuDNN's deterministic algorithms, and leaves this process so.

    A training of minutes writes `checkpoint` as it goes, and goes on from it as if it had not
    stopped. It stays when the training is done, for it spares doing it again.
    """
    deadline = time.monotonic() + budget.limit_s
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    try:
        network = build_network(
            architecture,
            classes=len(dataset.classes),
            width_multiplier=budget.width_multiplier,
            stem_stride=budget.stem_stride,
            input_channels=dataset.channels,
            seed=budget.seed,
        )
        # Two to three times as fast as the default layout, depthwise convolutions above all.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = statistics(dataset.train_images)
        images = normalized(dataset.train_images, mean, std)
        labels = torch.tensor(dataset.train_labels)
        made_with = {"architecture": architecture.id, "dataset": dataset.note, **asdict(budget)}
        kept = None if checkpoint is None else _Kept(checkpoint, made_with)
        _train(network, images, labels, budget, deadline, kept)
        calibrate(network, images[:CALIBRATION_IMAGES], budget.batch_size)
        val_images = normalized(dataset.val_images, mean, std)
        return score(network, in_batches(val_images, torch.tensor(dataset.val_labels)))
    except StorageError:  # no other candidate would fare better on a full disk
        raise
    except Exception as error:  # whatever it is, the other candidates go on
        return AccuracyFailure(f"{type(error).__name__}: {error}".splitlines()[0])


class _Kept:
    """A training's checkpoint, written each CHECKPOINT_S; a shorter training has none."""

    def __init__(self, path: Path, made_with: dict[str, object]) -> None:
        self.path, self.made_with = path, made_with
        self.saved_s = time.monotonic()

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """The number of steps that are done. Raises CheckpointError."""
        found = restore_training(self.path, optimizer, self.made_with)
        if found is None:
            return 0
        networks, facts = found
        network.load_state_dict(networks["network"])
        return int(facts["steps_done"])

    def save(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, steps_done: int, steps: int
    ) -> None:
        """Where it is time, or where the last step follows earlier checkpoints. Raises OSError."""
        is_due = time.monotonic() - self.saved_s > CHECKPOINT_S
        if not is_due and not (steps_done == steps and self.path.exists()):
            return
        networks = {"network": network.state_dict()}
        save_training(self.path, networks, optimizer, {"steps_done": steps_done}, self.made_with)
        self.saved_s = time.monotonic()


def _train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    budget: ProxyBudget,
    deadline: float,
    kept: _Kept | None,
) -> None:
    """SGD with Nesterov momentum."""
    batch_size = min(budget.batch_size, len(images))
    steps_per_epoch = len(images) // batch_size
    steps = budget.epochs * steps_per_epoch
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")
    model, optimizer = accelerator.prepare(
        network,
        torch.optim.SGD(
            network.parameters(),
            lr=budget.learning_rate,
            momentum=MOMENTUM,
            weight_decay=budget.weight_decay,
            nesterov=True,
            fused=True,
        ),
    )
    steps_done = kept.restore(network, optimizer) if kept else 0
    generator = torch.Generator().manual_seed(budget.seed)
    device = accelerator.device
    images, labels = images.to(device), labels.to(device)
    losses = torch.zeros((), device=device)  # their sum: finite while each of them was
    network.train()
    for epoch in range(budget.epochs):
        order = torch.randperm(len(images), generator=generator)
        batches = order[: steps_per_epoch * batch_size].view(-1, batch_size).to(device)
        for step, batch in enumerate(batches, epoch * steps_per_epoch):
            if step < steps_done:
                continue
            for group in optimizer.param_groups:
                group["lr"] = budget.learning_rate * warm_cosine(step, steps)
            logits = model(images[batch])
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=LABEL_SMOOTHING)
            losses += loss.detach()
            is_checked = (step + 1) % CHECKED_STEPS == 0 or step + 1 == steps
            if is_checked and not math.isfinite(losses.item()):
                raise FloatingPointError("training diverged")
            if time.monotonic() > deadline:
                raise TimeoutError(f"training took more than {budget.limit_s:g} s")
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            if kept:
                kept.save(network, optimizer, step + 1, steps)


def warm_cosine(step: int, steps: int) -> float:
    """The learning rate's factor: it rises linearly, then falls along a cosine to 0."""
    warm_up = max(1.0, WARM_UP_SHARE * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up))


@torch.no_grad()
def calibrate(network: nn.Module, images: Tensor, batch_size: int) -> None:
    """Give batch-norm the statistics of the final weights: its running averages (momentum
    0.01) are still near their initial values after so few steps."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the batches that follow
    device = next(network.parameters()).device
    for batch in torch.split(images, batch_size):
        network(batch.to(device))


@torch.inference_mode()
def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of normalized images whose label the network names; 0 of none."""
    network.eval()
    device = next(network.parameters()).device
    right, total = 0, 0
    for images, labels in batches:
        right += int((network(images.to(device)).argmax(1).cpu() == labels).sum())
        total += len(labels)
    return right / max(1, total)


def in_batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(
        torch.split(images, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
    )


def statistics(images: UInt8Array) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, each (channels, 1, 1)."""
    mean = torch.tensor(images.mean(axis=(0, 1, 2)), dtype=torch.float32)
    std = torch.tensor(images.std(axis=(0, 1, 2)), dtype=torch.float32)
    return mean.view(-1, 1, 1), std.clamp_min(1.0).view(-1, 1, 1)


def normalized(images: UInt8Array | Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Float (n, channels, height, width), channels last in memory; where the pixels are."""
    pixels = images if isinstance(images, Tensor) else torch.tensor(images)
    pixels = pixels.permute(0, 3, 1, 2)
    return (pixels - mean.to(pixels.device)) / std.to(pixels.device)
