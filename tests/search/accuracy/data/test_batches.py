from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from search.accuracy.data.batches import consecutive, random_crops, squares
from search.accuracy.data.datasets import load_dataset, open_dataset
from search.accuracy.data.images import CROP_AREA, ArraySplit, Images, random_crop, square
from search.accuracy.data.readers import DatasetError


def coordinates(width: int, height: int) -> Image.Image:
    """Every pixel says where it is: its column in red, its row in green."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns, rows, np.zeros_like(rows)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


@given(count=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_batches_hold_all_in_their_order(count: int, batch_size: int) -> None:
    batches = consecutive(count, batch_size)
    assert np.concatenate(batches).tolist() == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_streamed_images_are_those_that_memory_would_hold() -> None:
    opened = open_dataset("digits", resolution=16, train_images=50, val_images=20)
    loaded = load_dataset("digits", resolution=16, train_images=50, val_images=20)
    unreadable: set[str] = set()
    pairs = list(squares(opened.train, consecutive(50, 12), unreadable))
    assert np.array_equal(torch.cat([images for images, _ in pairs]).numpy(), loaded.train_images)
    assert np.array_equal(torch.cat([labels for _, labels in pairs]).numpy(), loaded.train_labels)
    assert not unreadable
    assert opened.note == loaded.note


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for index in range(8):
            coordinates(20, 12).save(tmp_path / name / f"{index}.png")
    broken = tmp_path / "cats" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])  # its header is sound
    images = open_dataset(str(tmp_path), resolution=8).train
    position = [images.describe(i) for i in range(len(images))].index(str(broken))
    unreadable: set[str] = set()
    ((pixels, labels),) = squares(images, consecutive(len(images), 99), unreadable)
    assert len(pixels) == len(labels) == len(images) - 1
    assert labels.tolist() == np.delete(images.labels, position).tolist()
    assert unreadable == {str(broken)}
    with pytest.raises(DatasetError, match=r"none of 1 images.*0\.png"):
        list(squares(images, [np.array([position])], unreadable))


def test_a_crop_is_decided_by_the_seed_and_its_image() -> None:
    images = open_dataset("digits", resolution=16, train_images=12, val_images=4).train

    def crops(batch_size: int, seed: int) -> torch.Tensor:
        read = random_crops(images, consecutive(12, batch_size), set(), (seed,))
        return torch.cat([pixels for pixels, _ in read])

    assert torch.equal(crops(5, 0), crops(12, 0))
    assert not torch.equal(crops(5, 0), crops(5, 1))


@given(width=st.integers(1, 250), height=st.integers(1, 250), seed=st.integers(0, 99))
def test_a_random_crop_lies_in_the_image_and_is_no_strip(
    width: int, height: int, seed: int
) -> None:
    crop = random_crop(coordinates(width, height), 8, np.random.default_rng(seed)).astype(int)
    assert crop.shape == (8, 8, 3)
    assert crop[..., 0].max() < width
    assert crop[..., 1].max() < height
    columns, rows = np.ptp(crop[..., 0]), np.ptp(crop[..., 1])
    if min(width, height) > 100 and max(width, height) < 2 * min(width, height):
        # Between the centres of the outermost of 8 pixels lie seven eighths of it.
        assert columns * rows > 0.9 * CROP_AREA[0] * width * height * (7 / 8) ** 2
        assert 1 / 1.5 < columns / rows < 1.5


@given(share=st.floats(0.5, 1))
def test_a_square_is_at_the_centre(share: float) -> None:
    middle = square(coordinates(200, 100), 10, share).astype(int)
    assert abs(middle[..., 0].mean() - 99.5) < 1.5
    assert abs(middle[..., 1].mean() - 49.5) < 1.5
    assert abs(np.ptp(middle[..., 1]) - 90 * share) < 3


def test_grey_images_stay_grey() -> None:
    split = ArraySplit(np.zeros((2, 9, 7), np.uint8), np.arange(2))
    crop = Images(split, np.arange(2), 8).random_crop(0, np.random.default_rng(0))
    assert crop is not None
    assert crop.shape == (8, 8, 1)
