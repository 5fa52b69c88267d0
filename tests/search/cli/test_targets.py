"""`latlab search --target A --target B`, on targets that only pretend to measure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from host.cli.console import reported
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.target import Target
from latlab.export import ExportPool
from search.cli import app, search_run, search_targets
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.study.settings import SearchTarget, StrategyName, StudyError
from search.study.study import read_settings, read_study
from search.study.trial import is_measured
from tests.search.latency.test_multi_target_lab import Device

NAMES = ("phone", "board")


@dataclass
class Exporting(Device):
    def export(self, architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
        return {}


@pytest.fixture(autouse=True)
def phone_and_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board is twice as slow."""

    @contextmanager
    def sessions(
        targets: Sequence[str],
        spec: BenchmarkSpec,
        *,
        priority: int,
        patience_s: float,
        deployment: Deployment,
    ) -> Iterator[list[Session]]:
        assert spec == BenchmarkSpec.for_search()
        with reported(ValueError, StudyError):
            yield [
                Session(
                    cast(LatencyClient, None),
                    Target(name, "os", "rt", "build", "xnnpack", 1, "all"),
                    cast(TargetLab, Exporting(slowness=1 + NAMES.index(name))),
                    cast(ExportPool, None),
                    deployment,
                )
                for name in targets
            ]

    monkeypatch.setattr(search_run, "sessions", sessions)
    monkeypatch.setattr(search_run, "run_calibration", lambda *_: None)  # they predict without
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)


def search(*options: str) -> tuple[int, str]:
    fixed = ["--strategy", "random", "--rounds", "1", "--round-size", "6"]
    arguments = ["search", *fixed, "--accuracy-command", "echo 0.5", *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, " ".join(result.output.split())


def targets_of(study: str = "first") -> tuple[SearchTarget, ...]:
    return read_settings(Path("runs") / study).targets


def test_the_worst_of_two_is_searched_and_shown_with_each() -> None:
    limits = ("--target-latency", "1", "--target-latency", "0.5")
    code, said = search("--target", "phone", "--target", "board", *limits)
    assert code == 0
    assert (
        "Target latency on phone/all/1t: 1.00 ms. Target latency on board/all/1t: 0.500 ms" in said
    )
    study = read_study(Path("runs/first"))
    latencies_ns = [target.latency_ns for target in study.settings.targets]
    assert latencies_ns == [1_000_000, 500_000]
    assert all(f"on {target_id} (ms)" in said for target_id in study.settings.target_ids)
    assert "the worst of" in (study.directory / "report.html").read_text()
    on_phone, on_board = (f"latency_ns on {target_id}" for target_id in study.settings.target_ids)
    front = json.loads((study.directory / "report.json").read_text())["front"]
    assert front
    for row in front:
        assert 2 * row[on_phone] == row[on_board]
        assert row["latency_ns"] == pytest.approx(row[on_board] / 0.5, abs=1)
    header = (study.directory / "trials.csv").read_text().partition("\n")[0]
    assert {on_phone, on_board} <= set(header.strip().split(","))


def test_a_resumed_study_keeps_its_target_latencies() -> None:
    targets = ("--target", "phone", "--target", "board")
    assert search(*targets)[0] == 0
    on_phone, on_board = targets_of()
    assert on_board.latency_ns == 2 * on_phone.latency_ns
    assert search(*targets)[0] == 0
    code, said = search("--target", "phone")
    assert code == 2
    assert "was made with other settings: targets[1].id was" in said


def test_weights_are_of_the_study() -> None:
    targets = ("--target", "phone", "--target", "board")
    weights = ("--weight", "2", "--weight", "1")
    assert search(*targets, *weights)[0] == 0
    assert [target.weight for target in targets_of()] == [2.0, 1.0]
    page = Path("runs/first/report.html").read_text()
    assert "by 2" in page
    code, said = search(*targets)
    assert code == 2
    assert "targets[0].weight was 2.0 and is now None" in said


def test_the_deployed_shape_is_of_the_study() -> None:
    shape = ("--target", "phone", "--resolution", "96", "--classes", "10")
    assert search(*shape)[0] == 0
    assert read_settings(Path("runs/first")).deployment == Deployment(96, 10)
    code, said = search("--target", "phone", "--resolution", "128", "--classes", "10")
    assert code == 2
    assert "deployment.resolution was 96 and is now 128" in said
    assert "deployment.classes" not in said


def test_the_precision_is_of_the_study_and_named_in_its_report() -> None:
    assert search("--target", "phone")[0] == 0
    assert " in " not in Path("runs/first/report.json").read_text().partition('"settings"')[0]
    code, said = search("--target", "phone", "--study", "small", "--precision", "int8")
    assert code == 0, said
    assert "small: the front, from measurements in int8 alone" in said
    directory = Path("runs/small")
    assert read_settings(directory).deployment.precision is Precision.INT8
    report = json.loads((directory / "report.json").read_text())
    assert report["target"].endswith(" in int8")
    assert report["settings"]["deployment"] == "224 px, 1000 classes in int8"
    assert f"ms</b> on {report['target']}, " in (directory / "report.html").read_text()
    code, said = search("--target", "phone", "--study", "small")
    assert code == 2
    assert "deployment.precision was 'int8' and is now 'fp32'" in said


def test_the_worst_and_a_mean_do_not_compare() -> None:
    targets = ("--target", "phone", "--target", "board")
    assert search(*targets)[0] == 0
    assert search(*targets, "--study", "mean", "--weight", "2", "--weight", "1")[0] == 0
    assert search(*targets, "--study", "again", "--seed", "1")[0] == 0
    compared = CliRunner().invoke(app, ["report", "first", "again"])
    assert compared.exit_code == 0
    refused = CliRunner().invoke(app, ["report", "first", "mean"])
    assert refused.exit_code == 2
    assert "cannot be compared, because their latencies" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--target phone --target phone", "name each target once"),
        ("--target phone --target board --target-latency 1", "for each of the 2 targets"),
        ("--target phone --target board --weight 1", "give a weight for each of the 2 targets"),
        ("--target phone --target board --weight 1 --weight 0", "a weight must be above zero"),
        ("--target phone --target-latency 0", "target latency must be above zero"),
    ],
)
def test_what_does_not_fit_together_is_refused(options: str, message: str) -> None:
    code, said = search(*options.split())
    assert code == 2
    assert message in said
    assert not Path("runs").exists()


def test_nsga2_treats_each_target_as_an_objective(tmp_path: Path) -> None:
    targets = ("--target", "phone", "--target", "board")
    limits = ("--target-latency", "1", "--target-latency", "0.5")
    code, said = search(*targets, *limits, "--strategy", "nsga2", "--rounds", "2")
    assert code == 0, said
    assert "the front of accuracy and the latency on each target" in said
    assert "On the front by the combined latency: 1" in said
    assert read_settings(Path("runs/first")).separate_targets
    report = json.loads(Path("runs/first/report.json").read_text())
    assert report["settings"]["objectives"] == "accuracy and the latency on each target"
    assert Path("runs/first/targets.png").is_file()
    assert "no other measured network beats in accuracy and on every target" in " ".join(
        Path("runs/first/report.html").read_text().split()
    )
    assert search(*targets, "--strategy", "nsga2", "--rounds", "3")[0] == 0
    assert len([r for r in read_study(Path("runs/first")).rounds if r.asked]) == 3


def test_a_study_of_an_earlier_version_keeps_one_combined_latency() -> None:
    targets = ("--target", "phone", "--target", "board")
    assert search(*targets, "--strategy", "nsga2")[0] == 0
    path = Path("runs/first/study.json")
    document = json.loads(path.read_text())
    del document["separate_targets"]
    path.write_text(json.dumps(document))
    for name in ("journal.log", "targets.png"):
        Path("runs/first", name).unlink()
    for rounds in ("1", "2"):
        code, said = search(*targets, "--strategy", "nsga2", "--rounds", rounds)
        assert code == 0, said
        assert "the front, from measurements alone" in said
    made_with = read_settings(Path("runs/first"))
    assert not made_with.separate_targets
    assert not Path("runs/first/targets.png").exists()


def test_the_strategy_suits_the_number_of_candidates_and_is_kept() -> None:
    def unfixed(*options: str) -> tuple[int, str]:
        arguments = ["search", "--target", "phone", "--accuracy-command", "echo 0.5", *options]
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, " ".join(result.output.split())

    code, said = unfixed("--rounds", "1", "--round-size", "4")
    assert code == 0, said
    assert "Strategy: tpe, 4 candidates a round." in said
    made_with = read_settings(Path("runs/first"))
    assert (made_with.strategy, made_with.round_size) == (StrategyName.TPE, 4)
    code, said = unfixed("--rounds", "2")
    assert code == 0, said
    assert "Strategy:" not in said
    asked = [len(r.trials) for r in read_study(Path("runs/first")).rounds if r.asked]
    assert asked == [4, 4]
    code, said = unfixed("--rounds", "2", "--strategy", "ppo")
    assert code == 2
    assert "strategy was 'tpe' and is now 'ppo'" in said
    code, said = unfixed("--study", "set", "--rounds", "1", "--ppo", "epochs=2")
    assert code == 0, said
    made_with = read_settings(Path("runs/set"))
    assert (made_with.strategy, made_with.round_size) == (StrategyName.PPO, 20)
    assert unfixed("--study", "set", "--rounds", "1", "--ppo", "epochs=2")[0] == 0


def test_what_does_not_fit_together_is_refused_before_the_calibration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_run, "run_calibration", lambda *_: pytest.fail("it takes minutes"))
    for options in (
        "--target phone --target phone",
        "--target phone --weight 1",
        "--target phone --target board --weight 1 --weight 0",
    ):
        assert search(*options.split())[0] == 2


def test_the_reference_is_measured_with_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    monkeypatch.setattr(search_run, "run_calibration", lambda *_: measured.append("calibration"))
    reference_ns = search_targets.measured_reference_ns

    def after_the_calibration(opened: Session) -> int:
        measured.append("reference")
        return reference_ns(opened)

    monkeypatch.setattr(search_run, "measured_reference_ns", after_the_calibration)
    assert search("--target", "phone")[0] == 0
    assert measured[:2] == ["calibration", "reference"]


def test_a_round_is_measured_beside_the_next_one() -> None:
    assert search("--target", "phone", "--rounds", "3", "--measured-share", "1")[0] == 0
    rounds = read_study(Path("runs/first")).rounds
    assert [finished.asked for finished in rounds[:5]] == [True, False, True, False, True]
    for finished in rounds[:5]:
        assert all(is_measured(trial) != finished.asked for trial in finished.trials)
