from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latlab.domain.failure import Failure, FailureKind
from latlab.domain.precision import Precision, precision_of
from search.accuracy.accuracy import AccuracyFailure, Score
from search.accuracy.checkpoint import CheckpointError, save_checkpoint
from search.accuracy.data.datasets import OpenDataset, open_dataset
from search.accuracy.data.readers import DatasetError
from search.accuracy.training import network_for
from search.finalists import (
    export_trained,
    train_one,
    trained_score,
    training_folder,
    with_outcomes,
    write_results,
)
from search.space.architecture import Architecture, Block
from search.study.settings import FullTraining
from search.study.trial import Trial, best_by_reward

NETWORK = Architecture(16, (Block("mbconv", 3, 3, 2, 0.25, "none", 16, 1),), 64)
OTHER = replace(NETWORK, head_channels=32)
RECIPE = FullTraining(epochs=10, resolution=16, batch_size=32, learning_rate=2.0, warm_up_epochs=1)


@pytest.fixture(scope="module")
def digits() -> OpenDataset:
    return open_dataset("digits", resolution=16, train_images=256, val_images=64)


def test_the_best_by_reward() -> None:
    failed = Trial(NETWORK, 0, None, None, None, failure="diverged")
    trials = [Trial(NETWORK, 0, reward, None, reward) for reward in (0.2, 0.5, 0.4)]
    assert best_by_reward([*trials, failed], 2) == [trials[1], trials[2]]


def test_trained_once_exported_twice_and_written(digits: OpenDataset, tmp_path: Path) -> None:
    epochs: list[int] = []
    assert train_one(NETWORK, digits, RECIPE, tmp_path, epochs.append) is None
    assert epochs[-1] == RECIPE.epochs
    precisions = (Precision.FP32, Precision.INT8)
    float32, int8 = export_trained(NETWORK, digits, RECIPE, tmp_path, precisions)
    assert float32.accuracy is not None
    assert int8.accuracy is not None
    assert float32.accuracy > 0.3
    assert abs(int8.accuracy - float32.accuracy) < 0.15
    assert float32.program is not None
    assert int8.program is not None
    assert precision_of(int8.program.program.kernels) is Precision.INT8
    assert "calibrated on 128 given inputs" in int8.program.program.exporter

    # Again, nothing is trained or exported.
    assert train_one(NETWORK, digits, RECIPE, tmp_path, epochs.append) is None
    assert len(epochs) == RECIPE.epochs + 1
    assert export_trained(NETWORK, digits, RECIPE, tmp_path, precisions) == [float32, int8]

    # The answers behind an accuracy are kept, image by image.
    for finalist in (float32, int8):
        [score] = finalist.scores
        assert score.accuracy == finalist.accuracy
        assert len(score.right) == score.images == 64
        assert score.right.count("1") == round(64 * score.accuracy)
    assert trained_score(NETWORK, digits, tmp_path) == float32.scores[0]

    [float16] = export_trained(NETWORK, digits, RECIPE, tmp_path, [Precision.FP16])
    assert float16.accuracy == pytest.approx(float32.accuracy, abs=0.05)
    assert float16.program is not None
    assert precision_of(float16.program.program.kernels) is Precision.FP16

    with pytest.raises(CheckpointError, match="dropout"):
        train_one(NETWORK, digits, replace(RECIPE, dropout=0.0), tmp_path, epochs.append)

    lost = Failure(FailureKind.DEVICE_LOST, "unplugged")
    finalists = with_outcomes([float32, int8], [lost, lost])
    write_results(tmp_path / "results.json", finalists, {"dataset": digits.note})
    written = json.loads((tmp_path / "results.json").read_text())
    assert [row["failure"] for row in written["results"]] == ["unplugged"] * 2
    assert [row["precision"] for row in written["results"]] == ["fp32", "int8"]
    assert Architecture.from_dict(written["results"][0]["architecture"]) == NETWORK
    assert written["results"][0]["scores"] == [{"accuracy": float32.accuracy, "images": 64}]


def test_a_network_has_an_output_for_each_class(digits: OpenDataset) -> None:
    wide = network_for(NETWORK, digits, seed=0, classes=12)
    assert wide(torch.zeros(1, 1, 16, 16)).shape == (1, 12)
    with pytest.raises(DatasetError, match="10 classes, and the network only 9 outputs"):
        network_for(NETWORK, digits, seed=0, classes=9)


def test_weights_of_an_earlier_version_have_an_accuracy_without_its_answers(
    digits: OpenDataset, tmp_path: Path
) -> None:
    path = tmp_path / NETWORK.id / "weights.safetensors"
    path.parent.mkdir()
    save_checkpoint(path, {"weight": torch.zeros(1)}, {"accuracy": 0.5, "made_with": {}})
    assert trained_score(NETWORK, digits, tmp_path) == Score(0.5, 64)
    assert trained_score(OTHER, digits, tmp_path) is None


def test_only_the_first_seed_has_no_folder_of_its_own(tmp_path: Path) -> None:
    folders = [training_folder(tmp_path, seed, first_seed=4) for seed in (4, 5)]
    assert folders == [tmp_path, tmp_path / "seed-5"]


def test_divergence_is_a_failure(digits: OpenDataset, tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=1e30)
    outcome = train_one(OTHER, digits, recipe, tmp_path, lambda finished: None)
    assert isinstance(outcome, AccuracyFailure)
