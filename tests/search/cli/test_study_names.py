"""A study's name never leads out of the folder of studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from search.cli import app
from search.study.settings import StudyError
from search.study.study import open_study, study_folder
from tests.search.fakes import settings

BAD = [
    "",
    ".",
    "..",
    "../esc",
    "/esc",
    "a/../../esc",
    "a/b",
    ".hidden",
    "x" * 101,
    "x" * 300,
    "a\nb",
]
BAD += ["\x1b[31m", "a b", "ä", "[/]", "-" * 101, "first/", "//", "~"]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="a study cannot be named"):
        study_folder(tmp_path / "runs", name)


@given(st.text())
def test_no_name_leads_elsewhere(name: str) -> None:
    runs = Path("/nowhere/runs")
    try:
        folder = study_folder(runs, name)
    except StudyError:
        return
    assert folder.parent == runs
    assert folder.name == name


@pytest.mark.parametrize("name", ["a b", "ä", "2024/first", ".hidden"])
def test_a_study_that_older_versions_named_so_is_found(tmp_path: Path, name: str) -> None:
    with open_study(tmp_path / "runs" / name, settings()):
        pass
    assert study_folder(tmp_path / "runs", name) == tmp_path / "runs" / name


def test_a_study_outside_is_not_found(tmp_path: Path) -> None:
    with open_study(tmp_path / "esc", settings()):
        pass
    for name in ("../esc", str(tmp_path / "esc"), "first/../../esc"):
        with pytest.raises(StudyError, match="a study cannot be named"):
            study_folder(tmp_path / "runs", name)


@pytest.mark.parametrize("name", ["../esc", ".", "", "x" * 300])
@pytest.mark.parametrize(
    "command",
    [
        ["search", "--study"],
        ["search", "--warm-start"],
        ["train", "--study"],
        ["report"],
        ["report", "first"],
        ["dashboard"],
    ],
    ids=" ".join,
)
def test_each_command_refuses_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], name: str
) -> None:
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with open_study(tmp_path / "esc", settings()):
        pass
    shutil.copytree(tmp_path / "esc", tmp_path / "work" / "runs" / "first")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, [*command, name])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    # An empty study is named first where several are compared.
    assert "a study cannot be named" in result.stderr or "empty" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
