"""Which images select networks in a search, and which ones score them in the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.accuracy.data.datasets import OpenDataset, Use, loaded, open_dataset
from search.accuracy.data.images import UInt8Array
from tests.search.accuracy.data.test_datasets import write_fashion_mnist, write_npz


def write_colors(folder: Path, first: int, count: int) -> None:
    """Write images of different colors."""
    folder.mkdir(parents=True)
    for color in range(first, first + count):
        Image.new("RGB", (9, 8), (color % 256, color // 256, 7)).save(folder / f"{color}.png")


def digits(folder: Path) -> str:
    return "digits"


def fashion_mnist(folder: Path) -> str:
    write_fashion_mnist(folder, ".gz")
    return f"fashion-mnist:{folder}"


def npz(folder: Path) -> str:
    write_npz(folder / "set.npz")
    return str(folder / "set.npz")


def npz_without_validation(folder: Path) -> str:
    write_npz(folder / "set.npz", {"x_validation": None, "y_validation": None})
    return str(folder / "set.npz")


def class_folders(folder: Path) -> str:
    for number, name in enumerate(("cats", "dogs")):
        write_colors(folder / name, 100 * number, 20)
    return str(folder)


def folders_with_val(folder: Path) -> str:
    for number, name in enumerate(("train/cats", "train/dogs", "val/cats", "val/dogs")):
        write_colors(folder / name, 100 * number, 20)
    return str(folder)


SOURCES = (
    digits,
    fashion_mnist,
    npz,
    npz_without_validation,
    class_folders,
    folders_with_val,
)


def opened(spec: str, use: Use, seed: int = 0, **changes: int) -> OpenDataset:
    most = {"train_images": 10**6, "val_images": 10**6}
    return open_dataset(spec, resolution=8, seed=seed, use=use, **{**most, **changes})


def pixels(images: UInt8Array) -> list[bytes]:
    return [image.tobytes() for image in images]


@pytest.mark.parametrize("source", SOURCES)
def test_the_test_images_select_nothing_whatever_the_seeds(
    source: Callable[[Path], str], tmp_path: Path
) -> None:
    spec = source(tmp_path)
    for search_seed, training_seed in ((0, 0), (0, 5), (5, 0)):
        selection = loaded(opened(spec, Use.SELECTION, search_seed))
        final = loaded(opened(spec, Use.TEST, training_seed))
        trained_on, selecting = pixels(selection.train_images), pixels(selection.val_images)
        test = pixels(final.val_images)
        assert len(selecting) > 0
        assert len(test) > 0
        assert not set(test) & {*trained_on, *selecting}
        assert not set(trained_on) & set(selecting)
        # The full training learns from everything that the search has used.
        assert sorted([*trained_on, *selecting]) == sorted(pixels(final.train_images))


@pytest.mark.parametrize("source", SOURCES)
def test_a_search_trains_on_all_but_what_selects(
    source: Callable[[Path], str], tmp_path: Path
) -> None:
    spec = source(tmp_path)
    count = len(opened(spec, Use.TEST).train)
    few = opened(spec, Use.SELECTION, val_images=4)
    assert (len(few.train), len(few.validation)) == (count - 4, 4)
    quarter = opened(spec, Use.SELECTION)
    assert len(quarter.validation) == round(count / 4)


def test_what_is_used_for_what_is_said() -> None:
    assert opened("digits", Use.SELECTION).note == "digits: 1011 training and 337 selection images"
    assert opened("digits", Use.TEST).note == "digits: 1348 training and 449 test images"
    assert opened("digits", Use.BOTH).note == "digits: 1348 training and 449 validation images"


@pytest.mark.parametrize(
    ("seed", "train", "validation"),
    [
        (0, [700, 1100, 387, 1123, 453, 1056], [1209, 864, 1750, 1120, 1029, 522]),
        (3, [1343, 199, 234, 956, 36, 1294], [1180, 1726, 886, 978, 365, 1750]),
    ],
)
def test_earlier_studies_keep_their_images(
    seed: int, train: list[int], validation: list[int]
) -> None:
    data = open_dataset("digits", resolution=8, train_images=100, val_images=50, seed=seed)
    assert data.train.indices[:6].tolist() == train
    assert data.validation.indices[:6].tolist() == validation


def test_one_image_that_cannot_be_read_does_not_move_the_others(tmp_path: Path) -> None:
    spec = folders_with_val(tmp_path)
    before = pixels(loaded(opened(spec, Use.TEST)).val_images)
    (tmp_path / "train/cats/3.png").write_bytes(b"no image")
    data = loaded(opened(spec, Use.SELECTION))
    assert len(data.skipped) == 1
    assert np.array_equal(before, pixels(loaded(opened(spec, Use.TEST)).val_images))
