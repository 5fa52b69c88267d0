"""The proxy task on images that memory does not hold."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from search.accuracy import proxy_training, sources, training, training_images
from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.data.datasets import OpenDataset, loaded, open_dataset
from search.accuracy.data.images import UInt8Array
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.proxy_training import train_and_score
from search.accuracy.sources import open_source
from search.space.space import mnasnet_space
from search.study.settings import ProxyBudget, TrainingSource
from tests.search.accuracy.stand_ins import LESS
from tests.search.accuracy.test_proxy import SMALL, TINY, Killed, killed_at
from tests.search.photos import write_photos

IMAGES, SIDE = 400, 64


def digits() -> OpenDataset:
    return open_dataset("digits", resolution=16, train_images=256, val_images=128)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in two classes, the one darker."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, brightest in (("dark", 90), ("light", 256)):
        (folder / name).mkdir()
        for number in range(IMAGES // 2):
            pixels = rng.integers(0, brightest, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.bmp")
    return folder


def opened_photos(folder: Path) -> OpenDataset:
    return open_dataset(str(folder), resolution=SIDE, train_images=IMAGES)


def test_streamed_images_give_the_accuracy_of_those_in_memory() -> None:
    data = digits()
    assert len(data.train) <= training.CALIBRATION_IMAGES  # so both normalize alike
    streamed = train_and_score(SMALL, data, replace(TINY, epochs=2))
    in_memory = train_and_score(SMALL, loaded(data), replace(TINY, epochs=2))
    assert isinstance(streamed, float)
    assert streamed == in_memory


def test_a_folder_larger_than_memory_allows_is_learned(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_and_score(LESS, digits(), TINY)  # what is imported late counts for no training
    monkeypatch.setattr(training, "CALIBRATION_IMAGES", 16)
    monkeypatch.setattr(training, "EVALUATION_BATCH", 16)
    at_once: list[int] = []
    normalized = training.normalized

    def counted(images: UInt8Array | Tensor, mean: Tensor, std: Tensor) -> Tensor:
        at_once.append(len(images))
        return normalized(images, mean, std)

    monkeypatch.setattr(training, "normalized", counted)
    monkeypatch.setattr(training_images, "normalized", counted)
    budget = ProxyBudget(epochs=2, batch_size=16, resolution=SIDE, stem_stride=2)
    tracemalloc.start()
    try:
        accuracy = train_and_score(LESS, opened_photos(photos), budget)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(accuracy, float)
    assert accuracy > 0.8
    assert max(at_once) == 16
    assert sum(at_once) > 2 * 0.7 * IMAGES  # each epoch reads the images
    assert peak_bytes < IMAGES * SIDE * SIDE * 3 / 2  # as arrays of NumPy


def test_killed_anywhere_it_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = replace(TINY, epochs=3)  # 8 steps each
    uninterrupted = train_and_score(SMALL, digits(), budget)
    checkpoint = tmp_path / "c.safetensors"
    monkeypatch.setattr(proxy_training, "CHECKPOINT_S", -1.0)
    for step in (3, 9, 1):  # first within an epoch, then across the end of it
        with monkeypatch.context() as patch:
            patch.setattr(functional, "cross_entropy", killed_at(step))
            with pytest.raises(Killed):
                train_and_score(SMALL, digits(), budget, checkpoint)
    assert train_and_score(SMALL, digits(), budget, checkpoint) == uninterrupted
    monkeypatch.setattr(functional, "cross_entropy", killed_at(0))
    assert train_and_score(SMALL, digits(), budget, checkpoint) == uninterrupted


def test_workers_stream_too(photos: Path) -> None:
    budget = ProxyBudget(epochs=1, batch_size=16, resolution=SIDE, stem_stride=2)
    data = opened_photos(photos)
    [outcome] = ProxyAccuracy(data, budget, jobs=1).evaluate([LESS])
    assert outcome == train_and_score(LESS, data, budget)


def test_images_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    broken = write_photos(tmp_path / "images", each=24)
    data = open_dataset(str(tmp_path / "images"), resolution=16)
    assert isinstance(train_and_score(LESS, data, replace(TINY, batch_size=6)), float)
    assert data.unreadable <= {str(broken)}


def test_images_that_all_cannot_be_read_fail_the_training(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(8):
            (tmp_path / name / f"{number}.png").write_bytes(b"no image")
    outcome = train_and_score(LESS, open_dataset(str(tmp_path), resolution=16), TINY)
    assert isinstance(outcome, AccuracyFailure)
    assert "can be read" in outcome.message


@pytest.mark.parametrize(
    ("keeps_test_images", "most_bytes", "is_streamed"),
    [(True, 10**9, False), (True, 10**3, True), (False, 10**3, False)],
)
def test_large_sets_are_streamed_except_in_earlier_studies(
    keeps_test_images: bool,
    most_bytes: int,
    is_streamed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MOST_IN_MEMORY_BYTES", most_bytes)
    source = TrainingSource("digits", replace(TINY, resolution=33), keeps_test_images)
    opened = open_source(source, mnasnet_space(), tmp_path)
    assert isinstance(opened.accuracy, ProxyAccuracy)
    assert isinstance(opened.accuracy.dataset, OpenDataset) == is_streamed
    assert ("read while networks train" in opened.note) == is_streamed
    assert ("selection images" in opened.note) == keeps_test_images
    assert opened.settings == source


def test_batches_hold_the_images_that_the_order_names() -> None:
    data = digits()
    order = torch.randperm(len(data.train))[:64].view(4, 16)
    images = training_images.training_images(data, torch.device("cpu"))
    labels = torch.cat([each for _, each in images.batches(order)])
    assert labels.tolist() == data.train.labels[order.flatten().numpy()].tolist()
