"""Labelled images, which are read one by one from memory or from files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8Array = NDArray[np.uint8]
Int64Array = NDArray[np.int64]

MAX_IMAGE_PIXELS = 100_000_000

CROP_AREA = 0.08, 1.0  # least and largest share of the image
MAX_CROP_RATIO = 4 / 3  # between the sides of a crop
CROP_TRIES = 10


class Split(Protocol):
    """Labelled images of any size."""

    @property
    def labels(self) -> Int64Array:
        """The labels of all images, (n,)."""
        ...

    @property
    def channels(self) -> int:
        """The number of color channels of all images, 1 or 3."""
        ...

    def picture(self, index: int, side: int) -> Image.Image | None:
        """Return an image, or None if it cannot be read.

        It may have been made smaller, but its sides are not below `side`.
        """

    def describe(self, index: int) -> str:
        """Return the text that names an image in errors: its path, or its index."""


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images in memory, uint8 (n, height, width) or (n, height, width, 1 or 3)."""

    images: UInt8Array
    labels: Int64Array

    @property
    def channels(self) -> int:
        """The number of color channels, 1 or 3."""
        return self.images.shape[3] if self.images.ndim == 4 else 1

    def picture(self, index: int, side: int) -> Image.Image:
        """Return the image at an index of the arrays."""
        return Image.fromarray(np.squeeze(self.images[index]))

    def describe(self, index: int) -> str:
        """Return the text that names an image in errors: its index in the arrays."""
        return str(index)


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Image files of any size, which are read as RGB."""

    paths: Sequence[str]
    labels: Int64Array
    channels: int = 3

    def picture(self, index: int, side: int) -> Image.Image | None:
        """Return an image whose sides are at least `side` pixels, or None if it cannot be read."""
        try:
            with Image.open(self.paths[index]) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    return None
                image.draft("RGB", (side, side))
                return image.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None

    def describe(self, index: int) -> str:
        """Return the text that names an image in errors: the path of its file."""
        return self.paths[index]


@dataclass(frozen=True, eq=False)
class Images:
    """Some images of a split, cut to uint8 (resolution, resolution, channels).

    Attributes:
        split: The images.
        indices: Index in the split of each position, (n,).
        resolution: Height and width to which images are cut, in pixels.
    """

    split: Split
    indices: Int64Array
    resolution: int

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def labels(self) -> Int64Array:
        """The label at each position, (n,)."""
        return self.split.labels[self.indices]

    def square(self, position: int, share: float = 1.0) -> UInt8Array | None:
        """Return the central square of an image, or None if it cannot be read."""
        side = math.ceil(self.resolution / share)
        picture = self.split.picture(int(self.indices[position]), side)
        return None if picture is None else square(picture, self.resolution, share)

    def random_crop(self, position: int, rng: np.random.Generator) -> UInt8Array | None:
        """Return a random crop of an image, or None if it cannot be read."""
        side = math.ceil(self.resolution / math.sqrt(CROP_AREA[0]))
        picture = self.split.picture(int(self.indices[position]), side)
        return None if picture is None else random_crop(picture, self.resolution, rng)

    def describe(self, position: int) -> str:
        """Return the text that names the image at a position in errors."""
        return self.split.describe(int(self.indices[position]))

    def readable(
        self, positions: Int64Array, pixels: Sequence[UInt8Array | None]
    ) -> tuple[UInt8Array, Int64Array, list[str]]:
        """Split what was read into images, their labels, and the names of unreadable images.

        Args:
            positions: The positions that were read.
            pixels: The pixels at each position, None for an unreadable image.
        """
        read = np.array([each is not None for each in pixels], bool)
        kept = np.array([each for each in pixels if each is not None], np.uint8)
        skipped = [self.describe(position) for position in positions[~read]]
        return kept, self.labels[positions[read]], skipped


def square(image: Image.Image, resolution: int, share: float = 1.0) -> UInt8Array:
    """Return the square at the image's centre whose side is `share` of the shorter side."""
    side = min(image.size) * share
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resized(image, resolution, (left, top, left + side, top + side))


def random_crop(image: Image.Image, resolution: int, rng: np.random.Generator) -> UInt8Array:
    """Return a random part of an image, half of the time mirrored.

    It has 8 to 100 % of the image's area and sides from 3:4 to 4:3 (Szegedy et al. 2015, "Going
    deeper with convolutions", section 6). An image that is too long for such a part gives the
    square at its centre.
    """
    mirrored = rng.random() < 0.5
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    log_ratio = math.log(MAX_CROP_RATIO)
    for _ in range(CROP_TRIES):
        area = rng.uniform(*CROP_AREA) * image.width * image.height
        ratio = math.exp(rng.uniform(-log_ratio, log_ratio))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 1 <= width <= image.width and 1 <= height <= image.height:
            left = int(rng.integers(image.width - width + 1))
            top = int(rng.integers(image.height - height + 1))
            return _resized(image, resolution, (left, top, left + width, top + height))
    return square(image, resolution)


def _resized(
    image: Image.Image, resolution: int, box: tuple[float, float, float, float]
) -> UInt8Array:
    resized = image.resize((resolution, resolution), Image.Resampling.BILINEAR, box)
    return np.asarray(resized).reshape(resolution, resolution, -1)
