"""What a user is told who asks for what cannot be: one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app


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
        ("predict other.json", "does not hold an architecture"),
        ("report nothing", "no study"),
        ("measure mnasnet-a1", "latlab lab up"),
        ("predict mnasnet-a1", "latlab lab up"),
        ("search", "latlab lab up"),
        ("calibrate", "latlab lab up"),
        ("evaluate", "latlab lab up"),
        ("lab status", "latlab lab up"),
        ("search --rounds 0", "--rounds"),
        ("search --strategy guess", "--strategy"),
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


def test_going_down_without_a_lab_is_harmless() -> None:
    result = CliRunner().invoke(app, ["lab", "down"])
    assert result.exit_code == 0
    assert "not running" in result.stdout
