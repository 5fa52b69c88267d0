from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from search.accuracy import full_training
from search.accuracy.checkpoint import CheckpointError
from search.accuracy.data.datasets import OpenDataset, open_dataset
from search.accuracy.full_training import train_fully
from search.accuracy.training import reference_images, score, statistics, validation_batches
from search.space.architecture import Architecture, Block
from search.study.settings import FullTraining
from tests.search.photos import write_photos

NETWORK = Architecture(
    16,
    (
        Block("dconv", 1, 3, 1, 0.0, "none", 16, 1),
        Block("mbconv", 3, 3, 2, 0.25, "identity", 32, 2),
    ),
    64,
)
SHORT = FullTraining(
    epochs=3, resolution=16, batch_size=32, learning_rate=2.0, warm_up_epochs=1, ema_decay=0.99
)


@pytest.fixture(scope="module")
def digits() -> OpenDataset:
    return open_dataset("digits", resolution=16, train_images=256, val_images=128)


def weights(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


def equal(first: nn.Module, second: nn.Module) -> bool:
    return all(map(torch.equal, weights(first), weights(second)))


class Killed(Exception):
    pass


def killed_at(step: int) -> Callable[[full_training._Training, Tensor, Tensor], None]:
    learn = full_training._Training.learn

    def until_then(training: full_training._Training, images: Tensor, labels: Tensor) -> None:
        if training.step == step:
            raise Killed
        learn(training, images, labels)

    return until_then


def test_the_papers_schedule() -> None:
    recipe = FullTraining(batch_size=4096)
    assert recipe.rate(2.5) == pytest.approx(0.128)
    assert recipe.rate(5) == recipe.rate(7.39) == pytest.approx(0.256)
    assert recipe.rate(7.41) == pytest.approx(0.256 * 0.97)
    assert FullTraining(batch_size=256).rate(5) == pytest.approx(0.016)


def test_it_learns(digits: OpenDataset, tmp_path: Path) -> None:
    epochs: list[int] = []
    network = train_fully(
        NETWORK, digits, replace(SHORT, epochs=12), tmp_path / "c.safetensors", epochs.append
    )
    mean, std = statistics(reference_images(digits))
    assert score(network, validation_batches(digits, mean, std)) > 0.6
    assert epochs == list(range(13))


@pytest.mark.parametrize(
    ("checkpoint_s", "augment"), [(full_training.CHECKPOINT_S, True), (0, False)]
)
def test_killed_anywhere_it_goes_on_as_if_it_had_not_been(
    digits: OpenDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_s: float,
    augment: bool,
) -> None:
    recipe = replace(SHORT, augment=augment)
    uninterrupted = train_fully(NETWORK, digits, recipe, tmp_path / "whole.safetensors")
    monkeypatch.setattr(full_training, "CHECKPOINT_S", checkpoint_s)
    for step in (3, 13, 20):
        with monkeypatch.context() as patch:
            patch.setattr(full_training._Training, "learn", killed_at(step))
            with pytest.raises(Killed):
                train_fully(NETWORK, digits, recipe, tmp_path / "c.safetensors")
    assert equal(train_fully(NETWORK, digits, recipe, tmp_path / "c.safetensors"), uninterrupted)
    # Finished, it learns no more.
    monkeypatch.setattr(full_training._Training, "learn", killed_at(SHORT.epochs * 8))
    assert equal(train_fully(NETWORK, digits, recipe, tmp_path / "c.safetensors"), uninterrupted)


def test_files_that_are_no_images_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    broken = write_photos(folder, each=24)
    photos = open_dataset(str(folder), resolution=16)
    recipe = replace(SHORT, augment=True, batch_size=6)
    network = train_fully(NETWORK, photos, recipe, tmp_path / "c.safetensors")
    mean, std = statistics(reference_images(photos, recipe.centre_share))
    batches = validation_batches(photos, mean, std, recipe.centre_share)
    assert 0 <= score(network, batches) <= 1
    assert photos.unreadable == {str(broken)}


def test_another_recipe_does_not_go_on_from_it(digits: OpenDataset, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    train_fully(NETWORK, digits, replace(SHORT, epochs=1), path)
    with pytest.raises(CheckpointError, match=r"dropout was 0\.2 and is now 0\.5"):
        train_fully(NETWORK, digits, replace(SHORT, epochs=1, dropout=0.5), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        train_fully(NETWORK, digits, SHORT, path)


def test_divergence_is_told(digits: OpenDataset, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError):
        train_fully(NETWORK, digits, replace(SHORT, learning_rate=1e30), tmp_path / "c.safetensors")
