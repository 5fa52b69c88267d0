"""Readers of image sources: digits, idx files, npz files and folders of classes."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latlab.domain.errors import LabError
from search.accuracy.data.images import ArraySplit, FileSplit, Split, UInt8Array

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
FASHION_MNIST_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm"})
MAX_ARRAY_BYTES = 4 << 30
MAX_FOLDER_IMAGES = 5_000_000


class DatasetError(LabError):
    """Images cannot be read or used. The message says what to do."""


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset before it is cut to size.

    Attributes:
        name: Name of the dataset.
        classes: Names of the classes, which labels index.
        train: Images to train on.
        validation: Images to validate on; None if the dataset has none of its own.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None


def read_digits() -> Source:
    """Return 1,797 grey 8×8 images of handwritten digits, which scikit-learn includes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    train = ArraySplit(images, digits.target.astype(np.int64))
    return Source("digits", tuple("0123456789"), train, None)


def read_fashion_mnist(directory: Path) -> Source:
    """Read 70,000 grey 28×28 images of clothes from idx files, gzipped or not.

    Raises:
        DatasetError: The files are missing or damaged.
    """

    def split(prefix: str) -> Split:
        images = _read_idx(directory, f"{prefix}-images-idx3-ubyte", 3)
        labels = _read_idx(directory, f"{prefix}-labels-idx1-ubyte", 1).astype(np.int64)
        _check_labels(directory, images, labels, len(FASHION_MNIST_CLASSES))
        return ArraySplit(images, labels)

    return Source("fashion-mnist", FASHION_MNIST_CLASSES, split("train"), split("t10k"))


def read_npz(path: Path) -> Source:
    """Read images from the arrays of an .npz file.

    The arrays are `x_train` and `y_train`, optionally `x_val` and `y_val` (or `x_validation`, or
    `x_test`), and optionally the names of the `classes`. Images are uint8 (n, height, width) or
    (n, height, width, 1 or 3), and labels are integers from 0.

    Raises:
        DatasetError: The file cannot be read, or an array is missing or of another form.
    """
    try:
        with zipfile.ZipFile(path) as members:
            size_bytes = sum(member.file_size for member in members.infolist())
        if size_bytes > MAX_ARRAY_BYTES:
            raise DatasetError(
                f"{path} unpacks to more than {MAX_ARRAY_BYTES >> 30} GiB: give fewer "
                "or smaller images"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return _npz_source(path, arrays)
    except DatasetError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read as an .npz file: {error}") from error


def read_folder(path: Path) -> Source:
    """Find the image files in a folder that has ImageNet's layout.

    There is a folder for each class, either at the top or under `train` and `val` (or
    `validation`).

    Raises:
        DatasetError: There are fewer than two classes with images, or too many images.
    """
    validation = next((path / n for n in ("val", "validation") if (path / n).is_dir()), None)
    train = path / "train" if (path / "train").is_dir() else path
    if train == path:
        validation = None
    classes = tuple(sorted(entry.name for entry in train.iterdir() if entry.is_dir()))
    files = _class_files(train, classes)
    present = tuple(name for name in classes if files[name])
    if len(present) < 2:
        raise DatasetError(
            f"{train} holds {len(present)} class folder(s) with images; at least 2 are needed "
            f"(one folder for each class, with {', '.join(sorted(IMAGE_SUFFIXES))} files in it)"
        )
    held_out = _file_split(_class_files(validation, present), present) if validation else None
    return Source(path.name, present, _file_split(files, present), held_out)


def _npz_source(path: Path, arrays: np.lib.npyio.NpzFile) -> Source:
    pairs = {"train": ("x_train", "y_train")}
    for name in ("val", "validation", "test"):
        if f"x_{name}" in arrays:
            pairs["validation"] = (f"x_{name}", f"y_{name}")
            break
    missing = [key for pair in pairs.values() for key in pair if key not in arrays]
    if missing:
        raise DatasetError(
            f"{path} lacks the arrays {', '.join(missing)}; it has {', '.join(arrays.files)}"
        )

    labels = {name: arrays[y] for name, (_, y) in pairs.items()}
    for name, values in labels.items():
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            raise DatasetError(f"{path}: {pairs[name][1]} must hold one integer for each image")
    highest = max((int(values.max(initial=0)) for values in labels.values()), default=0)
    names = (
        arrays["classes"].astype(str).tolist()
        if "classes" in arrays
        else [str(label) for label in range(highest + 1)]
    )

    def split(name: str) -> Split:
        x_key, _ = pairs[name]
        images = arrays[x_key]
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise DatasetError(
                f"{path}: {x_key} must be uint8 (n, height, width) or (n, height, width, channels)"
            )
        if images.ndim == 4 and images.shape[3] not in (1, 3):
            raise DatasetError(f"{path}: {x_key} must have 1 or 3 channels in its last dimension")
        _check_labels(path, images, labels[name], len(names))
        return ArraySplit(images, labels[name].astype(np.int64))

    validation = split("validation") if "validation" in pairs else None
    return Source(path.stem, tuple(names), split("train"), validation)


def _check_labels(
    path: Path, images: UInt8Array, labels: NDArray[np.integer], classes: int
) -> None:
    if len(images) != len(labels):
        raise DatasetError(f"{path}: {len(images)} images but {len(labels)} labels")
    if not len(labels):
        raise DatasetError(f"{path} holds no images")
    if min(images.shape[1:3]) < 1:
        raise DatasetError(f"{path} holds images without pixels")
    if labels.min() < 0 or labels.max() >= classes:
        raise DatasetError(
            f"{path}: labels reach from {labels.min()} to {labels.max()}, "
            f"but there are {classes} classes"
        )


def _read_idx(directory: Path, name: str, dimensions: int) -> UInt8Array:
    """Read an idx file of bytes: magic 0x0000 08 nd, nd big-endian lengths, the values."""
    path = directory / f"{name}.gz"
    if not path.exists():
        path = directory / name
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic, *shape = struct.unpack(f">{1 + dimensions}I", file.read(4 + 4 * dimensions))
            if magic != 0x0800 + dimensions:
                raise DatasetError(f"{path} is not an idx file of {dimensions}-dimensional bytes")
            size_bytes = int(np.prod(shape, dtype=object))
            if size_bytes > MAX_ARRAY_BYTES:
                raise DatasetError(
                    f"{path} unpacks to more than {MAX_ARRAY_BYTES >> 30} GiB: give fewer "
                    "or smaller images"
                )
            values = np.frombuffer(file.read(size_bytes), np.uint8)
    except FileNotFoundError as error:
        raise DatasetError(
            f"there is no Fashion-MNIST in {directory} ({name}.gz is missing): install Debian's "
            "package dataset-fashion-mnist, or name the folder with fashion-mnist:DIR"
        ) from error
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if len(values) != size_bytes:
        raise DatasetError(f"{path} is cut short: {len(values)} of {size_bytes} bytes")
    return values.reshape(shape)


def _class_files(folder: Path, classes: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the paths of each class's images as texts, which take less memory than Paths."""
    files: dict[str, list[str]] = {}
    count = 0
    for name in classes:
        found = sorted(
            path
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        )
        files[name] = list(map(str, found))
        count += len(files[name])
        if count > MAX_FOLDER_IMAGES:
            raise DatasetError(f"{folder} holds more than {MAX_FOLDER_IMAGES:,} images: give fewer")
    return files


def _file_split(files: dict[str, list[str]], classes: tuple[str, ...]) -> FileSplit:
    paths = [path for name in classes for path in files[name]]
    labels = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    return FileSplit(paths, labels.astype(np.int64))
