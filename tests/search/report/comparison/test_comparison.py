from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from search.report.comparison.comparison import Comparison
from search.report.comparison.groups import group_studies
from search.report.comparison.page import write_comparison
from search.space.architecture import Architecture
from search.study.journal import Round
from search.study.settings import HardReward, StrategyName
from search.study.study import Study
from search.study.trial import Trial
from tests.search.fakes import settings
from tests.search.report.studies import searched
from tests.search.report.study.test_report import PNG, References, text_of

PLOTS = ("hypervolume", "fronts", "rewards", "figure-6", "diversity")
DATA = ("curves.csv", "samples.csv", "results.csv")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    runs = tmp_path_factory.mktemp("runs")
    studies = [
        searched(runs / f"ppo-{seed}", strategy=StrategyName.PPO, seed=seed, rounds=3 + seed)
        for seed in range(2)
    ]
    studies.append(searched(runs / "random", strategy=StrategyName.RANDOM))
    studies.append(searched(runs / "hard", strategy=StrategyName.PPO, reward=HardReward()))
    return Comparison(group_studies(studies), "a board")


@pytest.fixture(scope="module")
def page(compared: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(compared, tmp_path_factory.mktemp("made") / "here")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_everything_lies_beside_the_page(page: Path) -> None:
    text = text_of(page)
    for name in PLOTS:
        assert (page.parent / f"{name}.png").read_bytes().startswith(PNG)
        assert f"{name}.png" in text
    for name in (*DATA, "comparison.json"):
        assert (page.parent / name).stat().st_size
        assert name in text


def test_the_page_needs_nothing_else(page: Path) -> None:
    references = References()
    references.feed(page.read_text())
    assert all(reference.startswith("#") for reference in references.found)
    ids = re.findall(r' id="([^"]+)"', page.read_text())
    assert len(ids) == len(set(ids))


def test_the_page_says_what_it_shows(page: Path) -> None:
    text = text_of(page)
    for part in ("ppo, soft", "random, soft", "ppo, hard", "measured networks only", "mnasnet-a1"):
        assert part in text
    assert "within ±10 % of T" in text


def test_every_sample_is_in_the_data(page: Path, compared: Comparison) -> None:
    samples = rows(page.parent / "samples.csv")
    assert len(samples) == 6 * (3 + 4 + 3 + 3)
    assert {row["group"] for row in samples} == {group.label for group in compared.groups}
    curves = rows(page.parent / "curves.csv")
    last = {row["study"]: row for row in curves}
    assert {name: int(row["samples"]) for name, row in last.items()} == {
        "ppo-0": 18,
        "ppo-1": 24,
        "random": 18,
        "hard": 18,
    }
    assert all(float(row["hypervolume"]) >= 0 for row in curves)


def test_the_joint_front_is_that_of_all_fronts(page: Path, compared: Comparison) -> None:
    made = json.loads((page.parent / "comparison.json").read_text())
    joint = [(row["accuracy"], row["latency_ns"]) for row in made["joint_front"]]
    assert joint == sorted(joint, key=lambda point: point[1])
    every = [
        (trial.accuracy, trial.latency.latency_ns)
        for study in compared.studies
        for trial in compared.front(study)
        if trial.latency is not None and trial.accuracy is not None
    ]
    assert not any(
        (a, -ns) != (b, -other) and b >= a and other <= ns for a, ns in joint for b, other in every
    )
    assert made["common_samples"] == 18


def test_one_group_needs_no_rewards_beside_each_other(tmp_path: Path) -> None:
    studies = [searched(tmp_path / str(seed), seed=seed) for seed in range(2)]
    made = write_comparison(Comparison(group_studies(studies), "a board"), tmp_path / "made")
    assert not (made.parent / "figure-6.png").exists()
    assert not (made.parent / "rewards.png").exists()
    assert (made.parent / "hypervolume.png").exists()


def test_without_measurements_predictions_are_compared_and_the_page_says_so(
    tmp_path: Path,
) -> None:
    studies = [searched(tmp_path / str(seed), seed=seed, measured_share=0) for seed in range(2)]
    made = write_comparison(Comparison(group_studies(studies), "a board"), tmp_path / "made")
    assert "only predicted" in text_of(made)


def test_names_are_escaped(tmp_path: Path) -> None:
    studies = [searched(tmp_path / f"<b>{seed}&", seed=seed) for seed in range(2)]
    made = write_comparison(Comparison(group_studies(studies), "<i>board"), tmp_path / "made")
    ElementTree.fromstring(made.read_text().split("\n", 1)[1])
    assert "<b>0&" in text_of(made)


def test_studies_in_which_all_failed_say_so(tmp_path: Path) -> None:
    failed = Trial(Architecture(8, (), 8), 0, None, None, None, failure="diverged")
    studies = [
        Study(tmp_path / str(seed), settings(seed=seed), [Round(0, True, (failed,))])
        for seed in range(2)
    ]
    made = write_comparison(Comparison(group_studies(studies), "a board"), tmp_path / "made")
    assert "No candidate has both" in text_of(made)
    assert not list(made.parent.glob("*.png"))
