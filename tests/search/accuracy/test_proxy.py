from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from search.accuracy.datasets import Dataset, load_dataset
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.training import AccuracyFailure, ProxyBudget, train_and_score
from search.architecture import Architecture, Block

SMALL = Architecture(
    16,
    (
        Block("conv", 1, 3, 2, 0.0, "none", 32, 1),
        Block("mbconv", 3, 3, 2, 0.25, "identity", 64, 2),
    ),
    128,
)
LESS = Architecture(8, (Block("dconv", 1, 3, 2, 0.0, "none", 16, 1),), 64)
IMPOSSIBLE = Architecture(8, (Block("conv", 1, -3, 1, 0.0, "none", 8, 1),), 8)
TINY = ProxyBudget(train_images=256, val_images=128, resolution=16, epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", resolution=16, train_images=1024, val_images=256)


@pytest.fixture(scope="module")
def few_digits() -> Dataset:
    return load_dataset("digits", resolution=16, train_images=256, val_images=128)


def test_learns_digits(digits: Dataset) -> None:
    accuracy = train_and_score(SMALL, digits, replace(TINY, epochs=3))
    assert isinstance(accuracy, float)
    assert accuracy > 0.6


def test_the_seed_decides(few_digits: Dataset) -> None:
    first, second, other = (
        train_and_score(SMALL, few_digits, replace(TINY, seed=seed)) for seed in (0, 0, 1)
    )
    assert first == second
    assert first != other


def test_processes_change_nothing_and_failures_stay_in_their_place(few_digits: Dataset) -> None:
    done: list[int] = []
    outcomes = ProxyAccuracy(few_digits, TINY, jobs=2).evaluate(
        [SMALL, IMPOSSIBLE, LESS], done.append
    )
    assert outcomes[0] == train_and_score(SMALL, few_digits, TINY)
    assert isinstance(outcomes[1], AccuracyFailure)
    assert outcomes[1].message
    assert outcomes[2] == train_and_score(LESS, few_digits, TINY)
    assert done == [1, 2, 3]


def test_nothing_to_evaluate(few_digits: Dataset) -> None:
    assert ProxyAccuracy(few_digits, TINY).evaluate([]) == []


def test_a_killed_process_fails_its_candidate_alone(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.accuracy.proxy._indexed", dies_on_less)
    outcomes = ProxyAccuracy(few_digits, TINY, jobs=2).evaluate([SMALL, LESS, SMALL])
    assert outcomes[0] == outcomes[2] == 0.5
    assert isinstance(outcomes[1], AccuracyFailure)


def test_divergence_is_a_failure(few_digits: Dataset) -> None:
    outcome = train_and_score(SMALL, few_digits, replace(TINY, learning_rate=1e30))
    assert isinstance(outcome, AccuracyFailure)
    assert "diverged" in outcome.message


def test_out_of_time_is_a_failure(few_digits: Dataset) -> None:
    outcome = train_and_score(SMALL, few_digits, replace(TINY, limit_s=0.0))
    assert isinstance(outcome, AccuracyFailure)
    assert "more than 0 s" in outcome.message


def test_fewer_images_than_a_batch(few_digits: Dataset) -> None:
    few = replace(
        few_digits,
        train_images=few_digits.train_images[:8],
        train_labels=few_digits.train_labels[:8],
    )
    outcome = train_and_score(SMALL, few, TINY)
    assert isinstance(outcome, float)
    assert 0 <= outcome <= 1


def test_colour_images_and_constant_channels(few_digits: Dataset) -> None:
    colour = replace(
        few_digits,
        train_images=np.concatenate(
            [few_digits.train_images] * 2 + [few_digits.train_images * 0], 3
        ),
        val_images=np.concatenate([few_digits.val_images] * 2 + [few_digits.val_images * 0], 3),
    )
    assert isinstance(train_and_score(SMALL, colour, TINY), float)


def dies_on_less(
    index: int, architecture: Architecture, dataset: Dataset, budget: ProxyBudget
) -> tuple[int, float]:
    if architecture == LESS:
        os._exit(1)
    return index, 0.5
