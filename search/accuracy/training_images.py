"""The images of a proxy training: all in memory, or read while the training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from search.accuracy.data.batches import squares
from search.accuracy.data.datasets import Dataset, OpenDataset
from search.accuracy.training import (
    CALIBRATION_IMAGES,
    in_batches,
    normalized,
    reference_images,
    statistics,
    validation_batches,
)


class TrainingImages(Protocol):
    """Normalized images, which arrive in batches with their labels.

    Both are on the processor or on the training's device.
    """

    def __len__(self) -> int:
        """Return the number of images to train on."""
        ...

    def batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Return batches of training images and labels, given their positions (batches, size)."""
        ...

    @property
    def calibration(self) -> Tensor:
        """The training images that calibrate batch-norm, (n, channels, height, width)."""
        ...

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return batches of all validation images and their labels."""
        ...


def training_images(dataset: Dataset | OpenDataset, device: torch.device) -> TrainingImages:
    """Return the images of a dataset for a training on a device."""
    if isinstance(dataset, OpenDataset):
        return _Streamed(dataset, device)
    return _InMemory(dataset, device)


class _InMemory:
    """All training images, which are normalized once."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset, self.device = dataset, device
        self.mean, self.std = statistics(dataset.train_images)
        self.images = normalized(dataset.train_images, self.mean, self.std).to(device)
        self.labels = torch.tensor(dataset.train_labels).to(device)

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in order.to(self.device):
            yield self.images[batch], self.labels[batch]

    @property
    def calibration(self) -> Tensor:
        return self.images[:CALIBRATION_IMAGES]

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        images = normalized(self.dataset.val_images, self.mean, self.std)
        return in_batches(images, torch.tensor(self.dataset.val_labels))


class _Streamed:
    """Images that are read for each batch, so that memory holds a few of them at a time."""

    def __init__(self, dataset: OpenDataset, device: torch.device) -> None:
        self.dataset, self.device = dataset, device
        self.reference = reference_images(dataset)
        self.mean, self.std = statistics(self.reference)

    def __len__(self) -> int:
        return len(self.dataset.train)

    def batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        positions = list(order.numpy())
        for images, labels in squares(self.dataset.train, positions, self.dataset.unreadable):
            pixels = normalized(images.to(self.device), self.mean, self.std)
            yield pixels, labels.to(self.device)

    @property
    def calibration(self) -> Tensor:
        return normalized(self.reference, self.mean, self.std)

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        return validation_batches(self.dataset, self.mean, self.std)
