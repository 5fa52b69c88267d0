from __future__ import annotations

import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.accuracy.checkpoint import CheckpointError
from search.accuracy.datasets import Dataset, load_dataset
from search.accuracy.supernet import Supernet
from search.accuracy.supernet_training import SupernetAccuracy, SupernetBudget, train_supernet
from search.accuracy.training import AccuracyFailure, ProxyBudget
from tests.search.fakes import small_space

TASK = ProxyBudget(train_images=512, val_images=256, resolution=16)
BUDGET = SupernetBudget(epochs=2, batch_size=64)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", resolution=16, train_images=512, val_images=256)


class Interrupted(Exception):
    pass


def test_an_average_network_has_learned(digits: Dataset, tmp_path: Path) -> None:
    space, rng = small_space(), random.Random(1)
    budget = replace(BUDGET, epochs=10)
    supernet = train_supernet(space, digits, TASK, budget, tmp_path / "supernet")
    networks = [space.resolve(space.sample(rng)) for _ in range(8)]
    larger = replace(networks[0], head_channels=2560)
    done: list[int] = []
    accuracy = SupernetAccuracy(supernet, digits)
    outcomes = accuracy.evaluate([*networks, larger], done.append)
    failure = outcomes.pop()
    assert isinstance(failure, AccuracyFailure)
    assert "larger" in failure.message
    assert done == list(range(1, 10))
    assert statistics.fmean(map(float, outcomes)) > 0.4  # type: ignore[arg-type]
    assert accuracy.evaluate(networks[:2]) == outcomes[:2]


def test_interrupted_it_goes_on_as_if_it_had_not_been(digits: Dataset, tmp_path: Path) -> None:
    whole = train_supernet(small_space(), digits, TASK, BUDGET, tmp_path / "whole")

    def interrupt(finished: int) -> None:
        if finished == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_supernet(small_space(), digits, TASK, BUDGET, tmp_path / "part", interrupt)
    epochs: list[int] = []
    resumed = train_supernet(small_space(), digits, TASK, BUDGET, tmp_path / "part", epochs.append)
    assert epochs == [1, 2]
    assert equal(resumed, whole)

    # Trained, it is only read.
    again = train_supernet(small_space(), digits, TASK, BUDGET, tmp_path / "part", epochs.append)
    assert epochs == [1, 2, 2]
    assert equal(again, whole)


def test_another_training_s_checkpoint_is_refused(digits: Dataset, tmp_path: Path) -> None:
    once = replace(BUDGET, epochs=1)
    first = train_supernet(small_space(), digits, TASK, once, tmp_path / "supernet")
    with pytest.raises(CheckpointError, match="seed was 0 and is now 1"):
        train_supernet(small_space(), digits, replace(TASK, seed=1), once, tmp_path / "supernet")
    other = train_supernet(small_space(), digits, replace(TASK, seed=1), once, tmp_path / "other")
    assert not equal(first, other)


def test_divergence_is_said(digits: Dataset, tmp_path: Path) -> None:
    wild = replace(BUDGET, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="diverged"):
        train_supernet(small_space(), digits, TASK, wild, tmp_path / "supernet")


def equal(one: Supernet, other: Supernet) -> bool:
    return all(torch.equal(one.weights[name], weight) for name, weight in other.weights.items())
