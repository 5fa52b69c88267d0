from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from search.accuracy.data import datasets
from search.accuracy.data.datasets import load_dataset
from search.accuracy.data.draws import stratified
from search.accuracy.data.readers import FASHION_MNIST_CLASSES, DatasetError


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">{1 + values.ndim}I", 0x0800 + values.ndim, *values.shape)
    data = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_fashion_mnist(directory: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28))
        write_idx(directory / f"{prefix}-images-idx3-ubyte{suffix}", images)
        write_idx(directory / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)


def write_images(folder: Path, count: int, size: tuple[int, int] = (20, 12)) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", size, (index, 0, 0)).save(folder / f"{index}.png")


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80),
    share=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_every_class_keeps_its_share(labels: list[int], share: float, seed: int) -> None:
    array = np.array(labels)
    count = round(share * len(labels))
    chosen = stratified(array, count, np.random.default_rng(seed))
    assert len(np.unique(chosen)) == len(chosen) == count
    for label in set(labels):
        expected = labels.count(label) * count / len(labels)
        assert abs((array[chosen] == label).sum() - expected) <= 1


def test_digits_at_the_asked_size_and_the_same_for_the_same_seed() -> None:
    a, b, other = (
        load_dataset("digits", resolution=16, train_images=100, val_images=50, seed=seed)
        for seed in (0, 0, 1)
    )
    assert a.train_images.shape == (100, 16, 16, 1)
    assert a.train_images.dtype == np.uint8
    assert a.val_images.shape == (50, 16, 16, 1)
    assert len(a.classes) == 10
    assert np.array_equal(a.train_images, b.train_images)
    assert not np.array_equal(a.train_images, other.train_images)


def test_images_come_in_no_order_of_class(tmp_path: Path) -> None:
    write_images(tmp_path / "cats", 40)
    write_images(tmp_path / "dogs", 40)
    data = load_dataset(str(tmp_path), resolution=8)
    assert set(data.train_labels[:20]) == {0, 1}


def test_training_and_validation_images_are_disjoint() -> None:
    data = load_dataset("digits", resolution=8, train_images=5000, val_images=5000)
    assert len(data.train_labels) + len(data.val_labels) == 1797
    train = {image.tobytes() for image in data.train_images}
    assert not train & {image.tobytes() for image in data.val_images}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist_from_idx_files(tmp_path: Path, suffix: str) -> None:
    write_fashion_mnist(tmp_path, suffix)
    data = load_dataset(f"fashion-mnist:{tmp_path}", resolution=28, train_images=30)
    assert data.classes == FASHION_MNIST_CLASSES
    assert data.train_images.shape == (30, 28, 28, 1)
    assert len(data.val_labels) == 20
    assert np.bincount(data.train_labels).tolist() == [3] * 10


def test_auto_says_which_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "FASHION_MNIST", tmp_path / "missing")
    data = load_dataset("auto", resolution=8)
    assert data.name == "digits"
    assert "dataset-fashion-mnist" in data.note

    write_fashion_mnist(tmp_path, ".gz")
    monkeypatch.setattr(datasets, "FASHION_MNIST", tmp_path)
    data = load_dataset("auto", resolution=8)
    assert data.name == "fashion-mnist"
    assert str(tmp_path) in data.note


@given(cut=st.integers(0, 400))
def test_a_damaged_idx_file_is_an_error(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    directory = tmp_path_factory.mktemp("idx")
    write_fashion_mnist(directory, ".gz")
    path = directory / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match="train-images"):
        load_dataset(f"fashion-mnist:{directory}")


def test_an_idx_header_that_promises_too_much(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, "")
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">4I", 0x0803, 2**31, 2**10, 2**10))
    with pytest.raises(DatasetError, match="GiB"):
        load_dataset(f"fashion-mnist:{tmp_path}")


def write_npz(path: Path, changes: dict[str, Any] | None = None) -> None:
    """A sound file, but for `changes`: other arrays, or None for one that is missing."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": rng.integers(0, 256, (40, 10, 14, 3), np.uint8),
        "y_train": np.arange(40) % 4,
        "x_validation": rng.integers(0, 256, (12, 10, 14, 3), np.uint8),
        "y_validation": np.arange(12) % 4,
        "classes": np.array(["a", "b", "c", "d"]),
        **(changes or {}),
    }
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def test_npz(tmp_path: Path) -> None:
    write_npz(tmp_path / "set.npz")
    data = load_dataset(str(tmp_path / "set.npz"), resolution=8)
    assert data.classes == ("a", "b", "c", "d")
    assert data.train_images.shape == (40, 8, 8, 3)
    assert len(data.val_labels) == 12


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("y_train", None, "lacks the arrays y_train"),
        ("y_train", np.zeros(39, int), "40 images but 39 labels"),
        ("y_train", np.full(40, 4), "labels reach"),
        ("y_train", np.full(40, -1), "labels reach"),
        ("y_train", np.zeros(40), "integer"),
        ("x_train", np.zeros((40, 10, 14, 3)), "uint8"),
        ("x_train", np.zeros((40, 10, 14, 4), np.uint8), "channels"),
        ("x_train", np.zeros((40, 0, 14, 3), np.uint8), "without pixels"),
        ("x_train", np.array([{}] * 40), "cannot be read"),
    ],
)
def test_npz_that_is_no_dataset(
    tmp_path: Path, key: str, value: np.ndarray | None, message: str
) -> None:
    write_npz(tmp_path / "set.npz", {key: value})
    with pytest.raises(DatasetError, match=message):
        load_dataset(str(tmp_path / "set.npz"))


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_dataset(str(tmp_path / "set.npz"))


def test_class_folders_and_unreadable_images(tmp_path: Path) -> None:
    write_images(tmp_path / "cats", 12)
    write_images(tmp_path / "dogs", 12)
    (tmp_path / "cats" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "dogs" / "notes.txt").write_text("no image by its name")
    data = load_dataset(str(tmp_path), resolution=8)
    assert data.classes == ("cats", "dogs")
    assert len(data.train_labels) + len(data.val_labels) == 24
    assert data.train_images.shape[1:] == (8, 8, 3)
    assert data.skipped == (str(tmp_path / "cats" / "broken.jpg"),)
    assert "1 unreadable" in data.note
    assert "broken.jpg" in data.note


def test_train_and_val_folders(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2)):
        write_images(tmp_path / part / "cats", count)
        write_images(tmp_path / part / "dogs", count)
    data = load_dataset(str(tmp_path), resolution=8)
    assert (len(data.train_labels), len(data.val_labels)) == (12, 4)


def test_images_that_memory_cannot_hold_are_refused_before_any_is_read(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for index in range(4):
            (tmp_path / name / f"{index}.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"GiB.*fewer .* images, or .* lower resolution"):
        load_dataset(str(tmp_path), resolution=10**7)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    write_images(tmp_path / "cats", 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="at least 2"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("spec", ["nowhere", "nowhere.npz", ""])
def test_what_is_not_there(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError):
        load_dataset(spec)


def test_missing_fashion_mnist_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="dataset-fashion-mnist"):
        load_dataset(f"fashion-mnist:{tmp_path}")
