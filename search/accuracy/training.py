"""Functions that the proxy task and the full training share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

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


@torch.inference_mode()
def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the share of normalized images whose label the network names; 0 without images."""
    network.eval()
    device = next(network.parameters()).device
    right, total = 0, 0
    for images, labels in batches:
        right += int((network(images.to(device)).argmax(1).cpu() == labels).sum())
        total += len(labels)
    return right / max(1, total)


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
