"""A LATLAB_HOME that cannot be one, and damaged files in it: one line, exit code 2."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from host.home.paths import LabHome
from search.cli import app

COMMANDS = ["lab status", "lab down", "jobs", "devices drain x", "predict mnasnet-a1", "calibrate"]
WRITING = ["lab up", "devices add board:7070 x"]


def run(command: str, home: Path | str) -> Result:
    return CliRunner().invoke(app, command.split(), env={"LATLAB_HOME": str(home)})


def one_line(result: Result) -> str:
    assert result.exit_code == 2, result.output
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("  ")]
    assert line.startswith("error: ")
    return line


def homes(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    return {
        str(tmp_path / "file"): "folder is needed",
        str(tmp_path / "file/below"): "folder is needed",
        str(tmp_path / "loop"): "link",
        "x" * 5000: "too long",
        "a\nb": "without control characters",
        "a?b": "question marks",
    }


@pytest.mark.parametrize("command", [*COMMANDS, *WRITING])
def test_a_home_that_is_none(tmp_path: Path, command: str) -> None:
    for home, message in homes(tmp_path).items():
        assert message in one_line(run(command, home))


@pytest.mark.parametrize("command", WRITING)
def test_a_home_that_cannot_be_made(tmp_path: Path, command: str) -> None:
    homes(tmp_path)
    for home in ("/proc/x", str(tmp_path / "dangling")):
        assert home in one_line(run(command, home))


def test_the_doctor_reports_a_home_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.doctor.machine.STEAL_SAMPLE_S", 0.01)
    for home in homes(tmp_path):
        result = run("doctor", home)
        assert result.exit_code == 1
        assert "wrong" in result.stdout


def test_no_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert "set LATLAB_HOME" in one_line(run("lab status", ""))
    assert run("doctor", "").exit_code == 1


@contextmanager
def locked(home: LabHome) -> Iterator[None]:
    """As a daemon that runs holds it."""
    home.create()
    with home.lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    "info", ["{", "[]", "null", '{"pid": "x"}', '{"pid": 0}', '{"pid": -1}', "[" * 60_000, "\xff"]
)
def test_a_damaged_daemon_file_is_named(tmp_path: Path, info: str) -> None:
    home = LabHome(tmp_path / "home")
    with locked(home):
        home.daemon_file.write_text(info, encoding="latin-1")
        for command in ("lab status", "lab down"):
            assert "daemon.json is damaged" in one_line(run(command, home.root))


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 10_000, "a b c d e f g h i j k l", "\xff" * 40]
)
def test_a_damaged_token_is_named(tmp_path: Path, token: str) -> None:
    home = LabHome(tmp_path / "home")
    with locked(home):
        info = {"pid": os.getpid(), "address": "127.0.0.1:1"}
        home.daemon_file.write_text(json.dumps(info))
        home.token_file.write_text(token, encoding="latin-1")
        assert str(home.token_file) in one_line(run("jobs", home.root))


def test_a_damaged_lab_toml_is_named(tmp_path: Path) -> None:
    home = LabHome(tmp_path / "home")
    home.config_file.mkdir(parents=True)
    assert "lab.toml cannot be read" in one_line(run("devices add board:7070 x", home.root))
    home.config_file.rmdir()
    home.config_file.write_text("boards = " + "[" * 10_000)
    assert "lab.toml" in one_line(run("devices add board:7070 x", home.root))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"address": 1}', "\xff"])
def test_a_damaged_board_stands_beside_the_others(tmp_path: Path, text: str) -> None:
    home = LabHome(tmp_path / "home")
    home.boards.mkdir(parents=True)
    (home.boards / "board:7070.json").write_text(text, encoding="latin-1")
    (home.boards / "no address.json").write_text("{}")
    result = run("devices list", home.root)
    assert result.exit_code == 0
    assert "latlab devices remove board:7070" in " ".join(result.stdout.split())
    assert run("devices remove board:7070", home.root).exit_code == 0
    assert not (home.boards / "board:7070.json").exists()
