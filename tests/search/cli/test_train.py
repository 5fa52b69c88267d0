"""`latlab train` without a lab: everything but the latencies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.space.architecture import Architecture, Block
from search.study.settings import OtherSource, SearchTarget, StrategyName, StudySettings
from search.study.study import open_study
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
