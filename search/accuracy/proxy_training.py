"""The proxy task: one candidate's short training, from scratch to a validation accuracy."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from latlab.domain.errors import StorageError
from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.checkpoint import restore_training, save_training
from search.accuracy.data.datasets import Dataset, OpenDataset
from search.accuracy.training import (
    calibrate,
    descend,
    network_for,
    put_channels_last,
    score,
    smoothed_loss,
)
from search.accuracy.training_images import TrainingImages, training_images
from search.space.architecture import Architecture
from search.study.settings import ProxyBudget

MOMENTUM = 0.9
WARM_UP_SHARE = 0.2  # of the steps
CHECKPOINT_S = 60.0  # A killed training loses at most so much.
CHECKED_STEPS = 16  # Each check of the loss waits for a GPU, so it is done every so many steps.


def train_and_score(
    architecture: Architecture,
    dataset: Dataset | OpenDataset,
    budget: ProxyBudget,
    checkpoint: Path | None = None,
) -> float | AccuracyFailure:
    """Train a network and return the share (0 to 1) of validation images that it names rightly.

    Initial weights and the order of the images come from the seed alone, so two candidates
    differ by their architecture only. The training runs on what Accelerate finds, on a GPU in
    bfloat16. There the seed decides as well, for one model of GPU. It uses one thread and cuDNN's
    deterministic algorithms, and leaves this process so.

    Args:
        architecture: The network to train.
        dataset: The images, in memory or to be read while the training goes on.
        budget: What the training may cost.
        checkpoint: A file that a training of minutes writes now and then, and resumes from as
            if it had not stopped. It remains after the training, so that the same training need
            not be done again.

    Raises:
        StorageError: The checkpoint cannot be written. Every other error is an AccuracyFailure.
    """
    deadline = time.monotonic() + budget.limit_s
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    try:
        network = network_for(
            architecture,
            dataset,
            seed=budget.seed,
            width_multiplier=budget.width_multiplier,
            round_coarsely=not budget.distinct_networks,
            stem_stride=budget.stem_stride,
        )
        put_channels_last(network)
        accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")
        images = training_images(dataset, accelerator.device)
        made_with = {"architecture": architecture.id, "dataset": dataset.note, **asdict(budget)}
        saved = None if checkpoint is None else _Checkpoint(checkpoint, made_with)
        _train(network, images, budget, deadline, saved, accelerator)
        calibrate(network, images.calibration, budget.batch_size)
        return score(network, images.validation())
    except StorageError:  # The disk would be full for every other candidate, too.
        raise
    except Exception as error:  # The other candidates go on, whatever it is.
        return AccuracyFailure(f"{type(error).__name__}: {error}".splitlines()[0])


class _Checkpoint:
    """A training's checkpoint, written every CHECKPOINT_S. A shorter training has none."""

    def __init__(self, path: Path, made_with: dict[str, object]) -> None:
        self.path, self.made_with = path, made_with
        self.saved_s = time.monotonic()

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restore the training and return how many steps are done.

        Raises:
            CheckpointError: The file is damaged, or another training's.
        """
        found = restore_training(self.path, optimizer, self.made_with)
        if found is None:
            return 0
        networks, facts = found
        network.load_state_dict(networks["network"])
        return int(facts["steps_done"])

    def save(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, steps_done: int, steps: int
    ) -> None:
        """Save the training if it is time, or after the last step if it was saved before.

        Raises:
            StorageError: The file cannot be written.
        """
        is_due = time.monotonic() - self.saved_s > CHECKPOINT_S
        if not is_due and not (steps_done == steps and self.path.exists()):
            return
        networks = {"network": network.state_dict()}
        save_training(self.path, networks, optimizer, {"steps_done": steps_done}, self.made_with)
        self.saved_s = time.monotonic()


def _train(
    network: nn.Module,
    images: TrainingImages,
    budget: ProxyBudget,
    deadline: float,
    saved: _Checkpoint | None,
    accelerator: Accelerator,
) -> None:
    """Train a network by SGD with Nesterov momentum."""
    batch_size = min(budget.batch_size, len(images))
    steps_per_epoch = len(images) // batch_size
    steps = budget.epochs * steps_per_epoch
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
    steps_done = saved.restore(network, optimizer) if saved else 0
    generator = torch.Generator().manual_seed(budget.seed)
    losses = torch.zeros((), device=accelerator.device)  # Their sum is finite while each loss was.
    network.train()
    for epoch in range(budget.epochs):
        order = torch.randperm(len(images), generator=generator)
        batches = order[: steps_per_epoch * batch_size].view(-1, batch_size)
        done = min(steps_per_epoch, max(0, steps_done - epoch * steps_per_epoch))
        remaining = images.batches(batches[done:])
        for step, (pixels, labels) in enumerate(remaining, epoch * steps_per_epoch + done):
            for group in optimizer.param_groups:
                group["lr"] = budget.learning_rate * warm_cosine(step, steps)
            loss = smoothed_loss(model(pixels), labels)
            losses += loss.detach()
            is_checked = (step + 1) % CHECKED_STEPS == 0 or step + 1 == steps
            if is_checked and not math.isfinite(losses.item()):
                raise FloatingPointError("training diverged: the loss is not finite")
            if time.monotonic() > deadline:
                raise TimeoutError(f"training took more than {budget.limit_s:g} s")
            descend(accelerator, optimizer, loss)
            if saved:
                saved.save(network, optimizer, step + 1, steps)


def warm_cosine(step: int, steps: int) -> float:
    """Return the rate's share of its peak at a step: it rises linearly, then falls as a cosine."""
    warm_up = max(1.0, WARM_UP_SHARE * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up))
