"""`latlab train` without a lab: everything but the latencies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latlab.domain.precision import Precision
from search.cli import app
from search.cli.training.run import TrainingImages, TrainingRequest, open_images, published
from search.space.architecture import Architecture, Block
from search.space.zoo import NAMES
from search.study.settings import (
    AccuracySource,
    FullTraining,
    OtherSource,
    SearchTarget,
    StrategyName,
    StudySettings,
    TrainingSource,
)
from search.study.study import Study, open_study
from search.study.trial import Trial
from tests.search.fakes import estimate
from tests.search.photos import write_photos

BEST = Architecture(16, (Block("mbconv", 3, 3, 2, 0.25, "none", 16, 1),), 64)
SETTINGS = StudySettings(
    "mnasnet", StrategyName.RANDOM, (SearchTarget("cpu", 10**7),), OtherSource()
)
OTHER = Architecture(16, (Block("conv", 1, 3, 2, 0.0, "none", 16, 1),), 64)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of two networks; in the current folder's runs."""
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "runs" / "first"
    with open_study(directory, SETTINGS) as opened:
        opened.append(
            [
                Trial(architecture, 0, reward, estimate(10**7), reward)
                for architecture, reward in ((OTHER, 0.5), (BEST, 0.6))
            ]
        )
    return directory


def test_a_published_network_is_trained_beside_it_with_several_seeds(study: Path) -> None:
    options = "--top 1 --with mnasnet-small --seeds 2 --precision fp32 --resolution 32 --epochs 1"
    images = "--dataset digits --train-images 64 --val-images 40 --batch-size 32"
    command = ["train", *options.split(), *images.split()]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1, result.output  # for the latencies are lacking
    shown = " ".join(result.output.split())
    assert "Whether the search beats mnasnet-small is not known" in shown
    assert "±" in shown
    written = json.loads((study / "trained" / "results.json").read_text())
    assert written["seeds"] == [0, 1]
    assert [row["name"] for row in written["results"]] == [None, "mnasnet-small"]
    assert [len(row["scores"]) for row in written["results"]] == [2, 2]
    assert [each["rival"] for each in written["verdicts"]] == ["mnasnet-small"]
    for row in written["results"]:
        assert row["accuracy"] == row["scores"][0]["accuracy"]
        trained = study / "trained" / "seed-1" / row["architecture_id"] / "weights.safetensors"
        assert trained.is_file()


@pytest.mark.parametrize(
    ("accuracy", "images"),
    [
        (TrainingSource("digits"), "449 test images"),
        (TrainingSource("digits", keeps_test_images=False), "449 validation images"),
        (OtherSource(), "449 validation images"),
    ],
)
def test_networks_are_scored_on_images_that_the_search_has_not_used(
    accuracy: AccuracySource, images: str, study: Path
) -> None:
    request = TrainingRequest(
        study=Study(study, replace(SETTINGS, accuracy=accuracy), []),
        top=1,
        beside=(),
        images=TrainingImages("digits", 10**6, 10**6, None),
        recipe=FullTraining(resolution=8),
        seeds=1,
        target="cpu",
        precisions=[Precision.FP32],
    )
    assert images in open_images(request).note


def test_zoo_stands_for_the_networks_that_the_paper_compares() -> None:
    names = [NAMES[network] for network in published(["mnasnet-small", "zoo", "mnasnet-a1"])]
    assert names == ["mnasnet-small", "mobilenet-v2", "mnasnet-a1", "mnasnet-b1"]


def test_a_network_that_is_not_published_cannot_be_trained_beside_others(study: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--with", "resnet"])
    assert result.exit_code == 2
    assert "there is no published network 'resnet': name zoo," in " ".join(result.output.split())


def test_the_best_is_trained_on_files_one_of_which_is_no_image(study: Path) -> None:
    folder = study.parent.parent / "photos"
    broken = write_photos(folder, each=8)
    options = "--top 1 --resolution 32 --epochs 1 --batch-size 4"
    result = CliRunner().invoke(app, ["train", "--dataset", str(folder), *options.split()])
    assert result.exit_code == 1, result.output  # for the latencies are lacking
    shown = " ".join(result.output.split())
    assert "Unreadable images, left out: 1" in shown
    assert "latlab lab up" in shown
    written = json.loads((study / "trained" / "results.json").read_text())
    assert written["unreadable"] == [str(broken)]
    assert written["recipe"]["augment"]
    assert [row["precision"] for row in written["results"]] == ["fp32", "int8"]
    for row in written["results"]:
        assert Architecture.from_dict(row["architecture"]) == BEST
        assert 0 <= row["accuracy"] <= 1
        assert row["program"]["size_bytes"] > 1000
        assert row["latency"] is None
