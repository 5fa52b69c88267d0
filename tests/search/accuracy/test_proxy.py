from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn
from torch.nn import functional

from search.accuracy import proxy_training
from search.accuracy.accuracy import AccuracyFailure, Repeat, RepeatableAccuracy
from search.accuracy.data.datasets import Dataset, load_dataset
from search.accuracy.proxy import ProxyAccuracy, seed_of
from search.accuracy.proxy_training import train_and_score
from search.space.architecture import Architecture, Block
from search.study.settings import ProxyBudget
from tests.search.accuracy.stand_ins import LESS, dies_on_less, grows

SMALL = Architecture(
    16,
    (
        Block("conv", 1, 3, 2, 0.0, "none", 32, 1),
        Block("mbconv", 3, 3, 2, 0.25, "identity", 64, 2),
    ),
    128,
)
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


def test_a_repeat_has_a_seed_of_its_own(few_digits: Dataset) -> None:
    accuracy = ProxyAccuracy(few_digits, TINY, jobs=2)
    assert isinstance(accuracy, RepeatableAccuracy)
    done: list[int] = []
    repeats = [Repeat(SMALL, 1), Repeat(SMALL, 2), Repeat(IMPOSSIBLE, 1)]
    first, second, failed = accuracy.evaluate_again(repeats, done.append)
    seeds = [seed_of(TINY.seed, number) for number in (0, 1, 2)]
    assert seeds[0] == TINY.seed
    assert len({*seeds, seed_of(TINY.seed + 1, 0)}) == 4
    assert first == train_and_score(SMALL, few_digits, replace(TINY, seed=seeds[1]))
    assert second == train_and_score(SMALL, few_digits, replace(TINY, seed=seeds[2]))
    assert isinstance(failed, AccuracyFailure)
    assert done == [1, 2, 3]


def test_repeats_of_one_network_have_checkpoints_of_their_own(
    few_digits: Dataset, tmp_path: Path
) -> None:
    accuracy = ProxyAccuracy(few_digits, TINY, checkpoints=tmp_path)
    for name in (LESS.id, f"{LESS.id}-2"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"damaged")
    first, second = accuracy.evaluate_again([Repeat(LESS, 1), Repeat(LESS, 2)])
    assert isinstance(first, float)
    assert isinstance(second, AccuracyFailure)
    assert "damaged" in second.message


@pytest.mark.parametrize("distinct", [True, False])
def test_the_budget_decides_whether_networks_are_distinct(
    few_digits: Dataset, distinct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of 16 and of 24 channels are trained with 4 and 6, or both with 8."""
    networks = [
        replace(LESS, blocks=(replace(LESS.blocks[0], out_channels=channels),))
        for channels in (16, 24)
    ]
    widths: list[list[int]] = []

    def seen(network: nn.Module) -> None:
        convolutions = (m for m in network.modules() if isinstance(m, nn.Conv2d))
        widths.append([each.out_channels for each in convolutions])
        raise ValueError("seen")

    monkeypatch.setattr(proxy_training, "put_channels_last", seen)
    for network in networks:
        train_and_score(network, few_digits, replace(TINY, distinct_networks=distinct))
    assert (widths[0] != widths[1]) is distinct
    assert (4 in widths[0] and 6 in widths[1]) is distinct


def test_nothing_to_evaluate(few_digits: Dataset) -> None:
    assert ProxyAccuracy(few_digits, TINY).evaluate([]) == []


def test_a_killed_process_fails_its_candidate_alone(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.accuracy.proxy._indexed", dies_on_less)
    outcomes = ProxyAccuracy(few_digits, TINY, jobs=2).evaluate([SMALL, LESS, SMALL])
    assert outcomes[0] == outcomes[2] == 0.5
    assert isinstance(outcomes[1], AccuracyFailure)


def test_a_worker_whose_memory_grows_is_replaced_without_a_word(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr("search.accuracy.proxy._indexed", grows)
    assert ProxyAccuracy(few_digits, TINY, jobs=2).evaluate([SMALL, LESS] * 3) == [0.5] * 6
    assert not recwarn.list


def test_divergence_is_a_failure(few_digits: Dataset) -> None:
    outcome = train_and_score(SMALL, few_digits, replace(TINY, learning_rate=1e30))
    assert isinstance(outcome, AccuracyFailure)
    assert "diverged" in outcome.message


def test_out_of_time_is_a_failure(few_digits: Dataset) -> None:
    outcome = train_and_score(SMALL, few_digits, replace(TINY, limit_s=0.0))
    assert isinstance(outcome, AccuracyFailure)
    assert "more than 0 s" in outcome.message


class Killed(BaseException):
    pass


def killed_at(step: int) -> Callable[..., Tensor]:
    """The loss, which in that step, counted from here, is not computed."""
    left = iter(range(step))
    cross_entropy = functional.cross_entropy

    def until_then(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        if next(left, None) is None:
            raise Killed
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)

    return until_then


def test_killed_anywhere_it_goes_on_as_if_it_had_not_been(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = replace(TINY, epochs=3)  # 8 steps each
    uninterrupted = train_and_score(SMALL, few_digits, budget)
    checkpoint = tmp_path / "training" / "c.safetensors"
    monkeypatch.setattr(proxy_training, "CHECKPOINT_S", -1.0)
    for step in (3, 9, 1):  # first within an epoch, then across the end of it
        with monkeypatch.context() as patch:
            patch.setattr(functional, "cross_entropy", killed_at(step))
            with pytest.raises(Killed):
                train_and_score(SMALL, few_digits, budget, checkpoint)
    assert train_and_score(SMALL, few_digits, budget, checkpoint) == uninterrupted
    # Finished, it trains no more.
    monkeypatch.setattr(functional, "cross_entropy", killed_at(0))
    assert train_and_score(SMALL, few_digits, budget, checkpoint) == uninterrupted


def test_a_short_training_writes_nothing(few_digits: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training" / "c.safetensors"
    assert isinstance(train_and_score(SMALL, few_digits, TINY, checkpoint), float)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_budget_is_a_failure(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_training, "CHECKPOINT_S", -1.0)
    checkpoint = tmp_path / "c.safetensors"
    train_and_score(LESS, few_digits, TINY, checkpoint)
    outcome = train_and_score(LESS, few_digits, replace(TINY, epochs=2), checkpoint)
    assert isinstance(outcome, AccuracyFailure)
    assert "epochs was 1 and is now 2" in outcome.message


def test_checkpoints_stay_for_the_architectures_asked_for(
    few_digits: Dataset, tmp_path: Path
) -> None:
    accuracy = ProxyAccuracy(few_digits, TINY, checkpoints=tmp_path)
    (tmp_path / "other.safetensors").write_bytes(b"of a round that is finished")
    kept = tmp_path / f"{LESS.id}.safetensors"
    kept.write_bytes(b"damaged")
    [outcome] = accuracy.evaluate([LESS])
    assert list(tmp_path.iterdir()) == [kept]
    assert isinstance(outcome, AccuracyFailure)  # it was gone on from
    assert "damaged" in outcome.message


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
