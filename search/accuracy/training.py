"""Functions that the proxy task and the full training share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from search.accuracy.data.batches import consecutive, squares
from search.accuracy.data.datasets import Dataset, OpenDataset
from search.accuracy.data.images import UInt8Array
from search.accuracy.data.readers import DatasetError
from search.space.architecture import Architecture
from search.space.network import build_network

LABEL_SMOOTHING = 0.1
CALIBRATION_IMAGES = 512  # for the running statistics of batch-norm
EVALUATION_BATCH = 128


def network_for(
    architecture: Architecture,
    dataset: Dataset | OpenDataset,
    *,
    seed: int,
    width_multiplier: float = 1.0,
    round_coarsely: bool = True,
    stem_stride: int = 2,
    dropout: float = 0.0,
    classes: int | None = None,
) -> nn.Module:
    """Return an untrained network for the channels and classes of a dataset.

    Args:
        architecture: The network.
        dataset: The images that it is trained on.
        seed: Seed of the initial weights.
        width_multiplier: Factor of the channels.
        round_coarsely: Whether scaled channel counts are rounded to multiples of 8, or else to
            whole numbers.
        stem_stride: Stride of the first convolution.
        dropout: Share of the classifier's inputs that are dropped while training.
        classes: Number of outputs; None for one for each class of the dataset.

    Raises:
        DatasetError: There are fewer outputs than classes in the dataset.
    """
    outputs = classes or len(dataset.classes)
    if outputs < len(dataset.classes):
        raise DatasetError(
            f"the images have {len(dataset.classes)} classes, and the network only {outputs} "
            "outputs: give at least as many"
        )
    return build_network(
        architecture,
        classes=outputs,
        input_channels=dataset.channels,
        width_multiplier=width_multiplier,
        round_coarsely=round_coarsely,
        stem_stride=stem_stride,
        dropout=dropout,
        seed=seed,
    )


def put_channels_last(network: nn.Module) -> None:
    """Give a network the memory layout with the channels last.

    It trains two to three times as fast as the default layout, depthwise convolutions above all.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def smoothed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of a batch, with smoothed labels, in float32."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=LABEL_SMOOTHING)


def descend(accelerator: Accelerator, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step of the optimizer along the gradient of the loss."""
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()


@torch.no_grad()
def calibrate(network: nn.Module, images: Tensor, batch_size: int) -> None:
    """Give a network's batch-norms the statistics that they have with its final weights.

    After few steps their running averages (momentum 0.01) are still near their initial values.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the batches that follow
    device = next(network.parameters()).device
    for batch in torch.split(images, batch_size):
        network(batch.to(device))


def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the share of normalized images whose label the network names; 0 without images."""
    right = right_answers(network, batches)
    return int(right.sum()) / max(1, len(right))


@torch.inference_mode()
def right_answers(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> NDArray[np.bool_]:
    """Return whether the network names the label of each normalized image, (n,)."""
    network.eval()
    device = next(network.parameters()).device
    right = [
        (network(images.to(device)).argmax(1).cpu() == labels).numpy() for images, labels in batches
    ]
    return np.concatenate(right) if right else np.zeros(0, bool)


@lru_cache(maxsize=1)  # A training, its score and its export each ask for them.
def reference_images(dataset: OpenDataset, centre_share: float = 1.0) -> UInt8Array:
    """Return the first training images; they normalize pixels and calibrate batch-norm.

    Args:
        dataset: The images.
        centre_share: The share of an image's shorter side that is used.
    """
    batches = consecutive(min(CALIBRATION_IMAGES, len(dataset.train)), EVALUATION_BATCH)
    read = squares(dataset.train, batches, dataset.unreadable, centre_share)
    return torch.cat([images for images, _ in read]).numpy()


def validation_batches(
    dataset: OpenDataset, mean: Tensor, std: Tensor, centre_share: float = 1.0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return batches of normalized validation images and their labels."""
    batches = consecutive(len(dataset.validation), EVALUATION_BATCH)
    for images, labels in squares(dataset.validation, batches, dataset.unreadable, centre_share):
        yield normalized(images, mean, std), labels


def in_batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Split images and their labels into batches for `score`."""
    return zip(
        torch.split(images, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
    )


def statistics(images: UInt8Array) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the images' channels, both (channels, 1, 1)."""
    mean = torch.tensor(images.mean(axis=(0, 1, 2)), dtype=torch.float32)
    std = torch.tensor(images.std(axis=(0, 1, 2)), dtype=torch.float32)
    return mean.view(-1, 1, 1), std.clamp_min(1.0).view(-1, 1, 1)


def normalized(images: UInt8Array | Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return uint8 images (n, height, width, channels) as normalized floats.

    The result is (n, channels, height, width), with the channels last in memory, on the device
    where the images are.
    """
    pixels = images if isinstance(images, Tensor) else torch.tensor(images)
    pixels = pixels.permute(0, 3, 1, 2)
    return (pixels - mean.to(pixels.device)) / std.to(pixels.device)
