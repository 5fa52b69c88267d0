"""Batches of images as tensors, which are read while the training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Readable

from search.accuracy.data.images import Images, Int64Array, UInt8Array
from search.accuracy.data.readers import DatasetError

MAX_READERS = 16  # processes


def squares(
    images: Images, batches: Sequence[Int64Array], unreadable: set[str], share: float = 1.0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the central squares of each batch of images, and the labels.

    Args:
        images: The images.
        batches: Positions of the images in each batch.
        unreadable: Receives the names of images that cannot be read, which are left out.
        share: Side of the square, as a share of the image's shorter side.

    Yields:
        Pixels, uint8 (n, resolution, resolution, channels), and labels, int64 (n,).

    Raises:
        DatasetError: No image of a batch can be read.
    """
    yield from _read(images, batches, partial(images.square, share=share), unreadable)


def random_crops(
    images: Images, batches: Sequence[Int64Array], unreadable: set[str], seed: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a random crop of each image in each batch, and the labels, as `squares` does.

    The crop depends on the image's position and on `seed` alone.
    """
    yield from _read(images, batches, partial(_random_crop, images, tuple(seed)), unreadable)


def consecutive(count: int, batch_size: int) -> list[Int64Array]:
    """Return batches of the positions from 0 to `count`, in their order."""
    return np.split(np.arange(count), range(batch_size, count, batch_size))


def _random_crop(images: Images, seed: tuple[int, ...], position: int) -> UInt8Array | None:
    return images.random_crop(position, np.random.default_rng([*seed, position]))


def _read(
    images: Images,
    batches: Sequence[Int64Array],
    read: Callable[[int], UInt8Array | None],
    unreadable: set[str],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what `read` makes of each image, batch by batch.

    Reading runs in processes of its own where a GPU trains, and each GPU has its share of the
    processors. Otherwise the training itself keeps all processors busy.
    """
    gpus = torch.cuda.device_count()
    readers = max(1, min(MAX_READERS, cpu_count() // gpus)) if gpus else 0
    loader = DataLoader(
        _Batches(images, batches, read),
        batch_size=None,
        num_workers=readers,
        pin_memory=readers > 0,
        generator=torch.Generator(),  # the default would draw from PyTorch's global generator
    )
    for pixels, labels, skipped in loader:
        unreadable.update(skipped)
        if not len(labels):
            raise DatasetError(
                f"none of {len(skipped)} images can be read; the first one is {skipped[0]}"
            )
        yield pixels, labels


@dataclass(frozen=True, eq=False)
class _Batches(Readable[tuple[UInt8Array, Int64Array, list[str]]]):
    """The pixels and labels of each batch, and the names of its unreadable images."""

    images: Images
    batches: Sequence[Int64Array]
    read: Callable[[int], UInt8Array | None]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[UInt8Array, Int64Array, list[str]]:
        batch = self.batches[number]
        return self.images.readable(batch, [self.read(int(position)) for position in batch])
