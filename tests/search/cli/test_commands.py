"""What a user is told who asks for what cannot be: one line and exit code 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from host.cli.console import reported
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.target import Target
from latlab.export import ExportPool
from search.cli import app, search_run
from search.cli.networks import commands
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from search.space.counts import counts
from search.space.deployment import Deployment
from search.space.zoo import ZOO
from search.study.settings import StudyError
from tests.search.fakes import estimate

TARGET = Target("board", "os", "runtime", "build", "xnnpack", 1, "all")


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("[1, 2")
    (tmp_path / "other.json").write_text('{"a": 1}')


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("measure nope", "mnasnet-a1"),
        ("measure missing.json", "cannot read missing.json"),
        ("predict bad.json", "does not hold an architecture"),
        ("predict other.json", "other.json: blocks is missing"),
        ("report nothing", "no study"),
        ("report nothing nowhere", "no study"),
        ("dashboard nothing", "no study"),
        ("dashboard nothing --port -1", "--port"),
        ("measure mnasnet-a1", "latlab lab up"),
        ("predict mnasnet-a1", "latlab lab up"),
        ("search", "latlab lab up"),
        ("calibrate", "latlab lab up"),
        ("calibrate --after-upgrade --networks 5", "--networks has no effect beside --after-up"),
        ("evaluate", "latlab lab up"),
        ("lab status", "latlab lab up"),
        ("search --rounds 0", "--rounds"),
        ("search --proxy-repeat-share 1.1", "--proxy-repeat-share"),
        ("measure mnasnet-a1 --sustained 0", "--sustained"),
        ("measure mnasnet-a1 --sustained 501", "--sustained"),
        ("lab renew-baseline cpu", "latlab lab up"),
        ("search --strategy guess", "--strategy"),
        ("search --precision half", "'fp32', 'fp16', 'int8'"),
        ("train --precision half", "'fp32', 'fp16', 'int8'"),
        ("search --ppo rate=1", "learning_rate=0.00035"),
        ("search --strategy tpe --ppo epochs=4", "no effect on --strategy tpe"),
        ("search --table-column top1", "no effect without --table"),
        ("search --no-table-fit", "no effect without --table"),
        ("train --study nothing", "no study"),
        ("train --resolution 8", "--resolution"),
        ("search --space moon", "accel-nas-bench"),
    ],
)
def test_what_cannot_be_ends_in_one_line(command: str, message: str) -> None:
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_the_zoo_needs_no_lab() -> None:
    result = CliRunner().invoke(app, ["zoo"])
    assert result.exit_code == 0
    assert "3,887,038" in result.stdout


def test_the_zoo_is_counted_in_its_deployed_shape() -> None:
    in_shape = CliRunner().invoke(app, ["zoo", "--resolution", "112", "--classes", "10"])
    assert in_shape.exit_code == 0
    parameters = counts(ZOO["mnasnet-a1"], deployment=Deployment(112, 10)).parameters
    assert f"{parameters:,}" in in_shape.stdout
    assert "3,887,038" not in in_shape.stdout


def test_commands_and_options_stand_in_panels() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout
    for panel in ("Lab and devices:", "Networks:", "Studies:", "Predictors:"):
        assert panel in listed
    helped = CliRunner().invoke(app, ["search", "--help"]).stdout
    assert helped.split("\nOptions:\n")[1].split()[0] == "--help"
    parts = [line for line in helped.splitlines() if re.fullmatch(r"[A-Z].*:", line)]
    assert len(parts) > 8


def test_going_down_without_a_lab_is_harmless() -> None:
    result = CliRunner().invoke(app, ["lab", "down"])
    assert result.exit_code == 0
    assert "not running" in result.stdout


def test_accuracy_has_one_source() -> None:
    words = ["search", "--table", "t.csv", "--accuracy-command", "true"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "from --table or --accuracy-command, not from both" in " ".join(result.stderr.split())


Predict = Callable[[Sequence[object]], list[LatencyEstimate]]


@dataclass
class Predicting:
    predict: Predict

    def predict_known(self, asked: Sequence[object], *, strict: bool) -> list[LatencyEstimate]:
        assert not strict
        return self.predict(asked)

    def with_kernels(self, networks: Sequence[object]) -> Sequence[object]:
        return networks


def opens(monkeypatch: pytest.MonkeyPatch, predict: Predict) -> None:
    """A lab that does nothing but predict."""

    @contextmanager
    def session(target: str | None, *, deployment: Deployment) -> Iterator[Session]:
        lab = cast(TargetLab, Predicting(predict))
        yield Session(cast(LatencyClient, None), TARGET, lab, cast(ExportPool, None), deployment)

    monkeypatch.setattr(commands, "session", session)


@pytest.mark.parametrize(("coverage", "shown"), [(0.49, "49% low"), (0.5, "50% "), (1, "100% ")])
def test_a_prediction_from_kernels_unlike_those_seen_says_so(
    monkeypatch: pytest.MonkeyPatch, coverage: float, shown: str
) -> None:
    opens(monkeypatch, lambda asked: [replace(estimate(10**7), coverage=coverage) for _ in asked])
    result = CliRunner().invoke(app, ["predict", "mnasnet-a1"])
    assert result.exit_code == 0
    assert shown in result.stdout
    assert ("low" in result.stdout) == (coverage < 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--max-params-m 1", "1 M parameters are allowed, and the smallest has 1.67"),
        ("--warm-start nothing", "there is no study in runs/nothing"),
        (
            "--warm-start zoo --space accel-nas-bench",
            "lies in the space accel-nas",
        ),
    ],
)
def test_a_search_that_cannot_be_ends_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, options: str, message: str
) -> None:
    @contextmanager
    def sessions(
        targets: Sequence[str],
        spec: BenchmarkSpec,
        priority: int,
        patience_s: float,
        deployment: Deployment,
    ) -> Iterator[list[Session]]:
        with reported(StudyError, ValueError):
            yield []

    monkeypatch.setattr(search_run, "sessions", sessions)
    result = CliRunner().invoke(app, ["search", *options.split()])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_prediction_from_other_targets_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(asked: Sequence[object]) -> list[LatencyEstimate]:
        return [replace(estimate(7_000_000), source=Source.TRANSFER) for _ in asked]

    opens(monkeypatch, predict)
    result = CliRunner().invoke(app, ["predict", "mnasnet-a1"])
    assert result.exit_code == 0
    assert "7.00 ms" in result.stdout
    assert "transfer: little was measured on this target" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("command", "value"),
    [
        (f"search {option}", value)
        for option in (
            "--target-latency",
            "--weight",
            "--max-params-m",
            "--max-madds-m",
            "--max-size-mb",
            "--max-device-minutes",
            "--measured-share",
            "--proxy-width",
            "--proxy-limit-s",
            "--proxy-repeat-share",
            "--accuracy-limit-s",
        )
        for value in ("nan", "inf", "-inf", "1e300")
    ]
    + [("evaluate --held-out", "nan"), ("evaluate --held-out", "0")]
    + [
        (command, value)
        for command in (
            "search --rounds",
            "search --round-size",
            "search --proxy-train-images",
            "search --proxy-val-images",
            "search --proxy-resolution",
            "search --proxy-epochs",
            "search --resolution",
            "search --classes",
            "predict mnasnet-a1 --resolution",
            "search --calibration",
            "search --seed",
            "train --top",
            "train --batch-size",
            "train --resolution",
            "train --epochs",
            "train --seed",
            "dashboard --port",
            "jobs --limit",
        )
        for value in ("-1", str(2**63), "1.5", "x")
    ],
)
def test_a_number_that_is_none_is_named_with_its_option(command: str, value: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), value])
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert f"Invalid value for '{command.split()[-1]}'" in line
    assert value in line
    assert "Input should be" in line or "is not a finite number" in line
