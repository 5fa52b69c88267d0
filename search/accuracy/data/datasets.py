"""Datasets of real images to train on, cut to a fixed size."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from search.accuracy.data.draws import divided, drawn, every
from search.accuracy.data.images import FileSplit, Images, Int64Array, UInt8Array
from search.accuracy.data.readers import (
    FASHION_MNIST,
    DatasetError,
    Source,
    read_digits,
    read_fashion_mnist,
    read_folder,
    read_npz,
)

MEMORY_SHARE = 0.5  # of the machine's memory, which images may fill
TEST_SEED = 1801  # Every search and every training sets the same test images apart.


class Use(Enum):
    """The use of the images of a dataset that are not trained on.

    The values name these images in notes.
    """

    SELECTION = "selection"  # They compare candidates. They are a part of the training images.
    TEST = "test"  # They score networks in the end, and no selection has used them.
    BOTH = "validation"  # They do both, as in studies that earlier versions made.


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory.

    Attributes:
        name: Name of the source.
        classes: Names of the classes, which labels index.
        train_images: Images to train on, uint8 (n, resolution, resolution, channels).
        train_labels: Their labels, int64 (n,).
        val_images: Images to validate on, like `train_images`.
        val_labels: Their labels.
        note: Where the images come from and what was left out, in one line.
        skipped: Names of the files that could not be read.
    """

    name: str
    classes: tuple[str, ...]
    train_images: UInt8Array
    train_labels: Int64Array
    val_images: UInt8Array
    val_labels: Int64Array
    note: str
    skipped: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Number of color channels, 1 or 3."""
        return int(self.train_images.shape[-1])


@dataclass(frozen=True, eq=False)
class OpenDataset:
    """A dataset of any size, whose images are read when they are needed.

    Attributes:
        name: Name of the source.
        classes: Names of the classes, which labels index.
        train: Images to train on.
        validation: Images to validate on.
        reason: Where the images come from.
        use: What the images to validate on are used for.
        unreadable: Names of the files that were found to be unreadable so far.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    validation: Images
    reason: str
    use: Use = Use.BOTH
    unreadable: set[str] = field(default_factory=set)

    @property
    def note(self) -> str:
        """The source and the number of the images, in one line."""
        return self.counted(len(self.train), len(self.validation))

    def counted(self, train_images: int, val_images: int) -> str:
        """Return the source with other numbers of images, in one line."""
        return f"{self.reason}: {train_images} training and {val_images} {self.use.value} images"

    @property
    def size_bytes(self) -> int:
        """The memory that all images would take, with a byte for each color of a pixel."""
        count = len(self.train) + len(self.validation)
        return count * self.train.resolution**2 * self.channels

    @property
    def channels(self) -> int:
        """Number of color channels, 1 or 3."""
        return self.train.split.channels

    @property
    def is_of_files(self) -> bool:
        """True if each image is a file of its own."""
        return isinstance(self.train.split, FileSplit)


def open_dataset(
    spec: str,
    *,
    resolution: int = 32,
    train_images: int = 2048,
    val_images: int = 1024,
    seed: int = 0,
    use: Use = Use.BOTH,
) -> OpenDataset:
    """Open a dataset, whose images are drawn so that every class keeps its share.

    The images to validate on are the source's own, or a quarter of a source that has none. For a
    selection these stay unused, and a part of the remaining images takes their place.

    Args:
        spec: "auto" (Fashion-MNIST where it is installed, else digits), "digits",
            "fashion-mnist", "fashion-mnist:DIR", the path of an .npz file, or the path of a
            folder with one folder of images for each class.
        resolution: Height and width to which images are cut, in pixels.
        train_images: Number of images to train on, at most.
        val_images: Number of images to validate on, at most.
        seed: Seed of the draw.
        use: What the images to validate on are used for.

    Raises:
        DatasetError: The images cannot be used. The message says what to do.
    """
    for name, value in (
        ("resolution", resolution),
        ("number of training images", train_images),
        ("number of validation images", val_images),
    ):
        if value < 1:
            raise DatasetError(f"the {name} must be above zero, not {value}")
    source, reason = _open(spec)
    rng = np.random.default_rng(seed)
    train = every(source.train, resolution)
    if source.validation is not None:
        held_out = every(source.validation, resolution)
    else:
        # The test images must not depend on the seed: a training may have another one than the
        # search before it.
        test_rng = rng if use is Use.BOTH else np.random.default_rng(TEST_SEED)
        train, held_out = divided(train, len(train), test_rng)
    if use is Use.SELECTION:
        train, held_out = divided(train, val_images, rng)
    train, validation = drawn(train, train_images, rng), drawn(held_out, val_images, rng)
    _check_enough(spec, train.labels, validation.labels)
    return OpenDataset(source.name, source.classes, train, validation, reason, use)


def load_dataset(
    spec: str,
    *,
    resolution: int = 32,
    train_images: int = 2048,
    val_images: int = 1024,
    seed: int = 0,
    use: Use = Use.BOTH,
) -> Dataset:
    """Read a dataset into memory. The arguments are those of `open_dataset`.

    Raises:
        DatasetError: The images cannot be used, or need too much memory.
    """
    return loaded(
        open_dataset(
            spec,
            resolution=resolution,
            train_images=train_images,
            val_images=val_images,
            seed=seed,
            use=use,
        )
    )


def loaded(opened: OpenDataset) -> Dataset:
    """Return a dataset with all its images read into memory.

    Raises:
        DatasetError: The images cannot be used, or need too much memory.
    """
    _check_memory(opened.size_bytes)
    x_train, y_train, skipped = _read(opened.train)
    x_val, y_val, skipped_val = _read(opened.validation)
    skipped += skipped_val
    _check_enough(opened.reason, y_train, y_val)
    note = opened.counted(len(y_train), len(y_val))
    if skipped:
        note += f"; {len(skipped)} unreadable skipped, the first {skipped[0]}"
    return Dataset(
        opened.name, opened.classes, x_train, y_train, x_val, y_val, note, tuple(skipped)
    )


def _open(spec: str) -> tuple[Source, str]:
    if spec == "auto":
        if FASHION_MNIST.is_dir():
            return read_fashion_mnist(FASHION_MNIST), f"Fashion-MNIST, found in {FASHION_MNIST}"
        reason = "digits, as Fashion-MNIST (Debian's dataset-fashion-mnist) is not installed"
        return read_digits(), reason
    if spec == "digits":
        return read_digits(), "digits"
    if spec == "fashion-mnist" or spec.startswith("fashion-mnist:"):
        directory = Path(spec.partition(":")[2] or FASHION_MNIST)
        return read_fashion_mnist(directory), f"Fashion-MNIST in {directory}"
    path = Path(os.path.expanduser(spec))  # noqa: PTH111 -- Path.expanduser raises for unknown users
    if path.is_dir():
        return read_folder(path), f"images in {path}"
    if path.suffix == ".npz" and path.is_file():
        return read_npz(path), f"images in {path}"
    raise DatasetError(
        f"there is no dataset {spec!r}: name digits, fashion-mnist, fashion-mnist:DIR, an .npz "
        "file, or a folder with one folder of images for each class"
    )


def _check_memory(images_bytes: int) -> None:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if images_bytes > MEMORY_SHARE * memory_bytes:
        raise DatasetError(
            f"these images would take {images_bytes / 2**30:.1f} GiB, more than half of this "
            "machine's memory: ask for fewer training and validation images, or for a lower "
            "resolution"
        )


def _check_enough(spec: str, train_labels: Int64Array, val_labels: Int64Array) -> None:
    if len(np.unique(train_labels)) < 2 or not len(val_labels):
        raise DatasetError(
            f"{spec} has too few readable images: it needs two classes to train on and an image to "
            "validate on"
        )


def _read(images: Images) -> tuple[UInt8Array, Int64Array, list[str]]:
    """Return the readable images, their labels, and the names of the unreadable ones."""
    positions = np.arange(len(images))
    with ThreadPoolExecutor() as pool:
        return images.readable(positions, list(pool.map(images.square, positions)))
