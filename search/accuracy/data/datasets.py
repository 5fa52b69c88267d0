"""Datasets of real images to train on, cut to a fixed size."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

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

VALIDATION_SHARE = 0.25  # of a source without a validation split
MEMORY_SHARE = 0.5  # of the machine's memory, which images may fill


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
        unreadable: Names of the files that were found to be unreadable so far.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    validation: Images
    reason: str
    unreadable: set[str] = field(default_factory=set)

    @property
    def note(self) -> str:
        """The source and the number of the images, in one line."""
        return _counted(self.reason, len(self.train), len(self.validation))

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
) -> OpenDataset:
    """Open a dataset, whose images are drawn so that every class keeps its share.

    Args:
        spec: "auto" (Fashion-MNIST where it is installed, else digits), "digits",
            "fashion-mnist", "fashion-mnist:DIR", the path of an .npz file, or the path of a
            folder with one folder of images for each class.
        resolution: Height and width to which images are cut, in pixels.
        train_images: Number of images to train on, at most.
        val_images: Number of images to validate on, at most.
        seed: Seed of the draw.

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
    train_indices = np.arange(len(source.train.labels))
    held_out = source.validation
    if held_out is None:
        held_out = source.train
        count = round(len(train_indices) * VALIDATION_SHARE)
        val_indices = stratified(source.train.labels, count, rng)
        train_indices = np.setdiff1d(train_indices, val_indices)
    else:
        val_indices = np.arange(len(held_out.labels))

    def drawn(labels: Int64Array, among: Int64Array, count: int) -> Int64Array:
        return among[stratified(labels[among], count, rng)]

    train_indices = drawn(source.train.labels, train_indices, train_images)
    val_indices = drawn(held_out.labels, val_indices, val_images)
    train = Images(source.train, train_indices, resolution)
    validation = Images(held_out, val_indices, resolution)
    _check_enough(spec, train.labels, validation.labels)
    return OpenDataset(source.name, source.classes, train, validation, reason)


def load_dataset(
    spec: str,
    *,
    resolution: int = 32,
    train_images: int = 2048,
    val_images: int = 1024,
    seed: int = 0,
) -> Dataset:
    """Read a dataset into memory. The arguments are those of `open_dataset`.

    Raises:
        DatasetError: The images cannot be used, or need too much memory.
    """
    opened = open_dataset(
        spec, resolution=resolution, train_images=train_images, val_images=val_images, seed=seed
    )
    train, validation = opened.train, opened.validation
    _check_memory((len(train) + len(validation)) * resolution**2 * opened.channels)
    x_train, y_train, skipped = _read(train)
    x_val, y_val, skipped_val = _read(validation)
    skipped += skipped_val
    _check_enough(spec, y_train, y_val)
    note = _counted(opened.reason, len(y_train), len(y_val))
    if skipped:
        note += f"; {len(skipped)} unreadable skipped, the first {skipped[0]}"
    return Dataset(
        opened.name, opened.classes, x_train, y_train, x_val, y_val, note, tuple(skipped)
    )


def stratified(labels: Int64Array, count: int, rng: np.random.Generator) -> Int64Array:
    """Return the indices of `count` labels, or of all if there are fewer, in random order.

    Every class has its share of the whole, to within one label. The order is random, so that
    any part of the indices is a fair sample.
    """
    total = len(labels)
    shuffled = rng.permutation(total)
    if count >= total:
        return shuffled
    classes, sizes = np.unique(labels[shuffled], return_counts=True)
    # Largest remainders: each share is rounded down, then up where most was cut off.
    quotas, remainders = np.divmod(sizes * count, total)
    quotas[np.argsort(-remainders, kind="stable")[: count - quotas.sum()]] += 1
    chosen = [
        shuffled[labels[shuffled] == label][:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return rng.permutation(np.concatenate(chosen))


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


def _counted(reason: str, train_images: int, val_images: int) -> str:
    return f"{reason}: {train_images} training and {val_images} validation images"


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
