"""A few of the benchmark's hostile values, and that its checks can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from tests.bench.bench_hostile_commands import drawn_cases
from tests.search.cli.hostile_lab import Case, Command, commands, refusing_lab, wrong, wrong_end
from tests.search.cli.hostile_values import Scratch

VALUES = 4


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "top")


def test_hostile_values_end_in_words(scratch: Scratch) -> None:
    with refusing_lab(scratch) as lab:
        for number, (command, case) in enumerate(drawn_cases(scratch, VALUES)):
            lab(number % 2 == 0)
            assert wrong(command, case, scratch) is None, str(case)


def test_each_command_names_its_exit_codes() -> None:
    assert len(commands()) >= 24
    assert all(command.exit_codes == {0, 1, 2} for command in commands())
    assert CliRunner().invoke(app, ["search", "--help"]).stdout.count("Exit codes:") == 1


def search(scratch: Scratch, study: str) -> tuple[Command, Case]:
    [command] = (each for each in commands() if each.words == ("search",))
    return command, command.case(scratch, "study", study)


def test_a_study_of_a_sound_name_may_be_written(scratch: Scratch) -> None:
    with refusing_lab(scratch):
        assert wrong(*search(scratch, "mine"), scratch) is None


@pytest.mark.parametrize("place", ["decoy/precious", "esc", "work/runs/study.json", "work/esc/x"])
def test_a_file_outside_is_seen(scratch: Scratch, place: str) -> None:
    path = scratch.decoy.parent / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("written")
    problem = wrong_end(*search(scratch, "mine"), scratch, 0, "", "")
    assert problem is not None
    assert problem.startswith("wrote ")
    assert str(path) in problem
    assert wrong_end(*search(scratch, "mine"), scratch, 0, "", "") is None  # cleared


@pytest.mark.parametrize(
    ("code", "errors"),
    [(70, "error: x"), (130, "error: x"), (2, ""), (1, "Traceback (most recent call last):\n x")],
)
def test_a_wrong_end_is_seen(scratch: Scratch, code: int, errors: str) -> None:
    assert wrong_end(*search(scratch, "mine"), scratch, code, "", errors) is not None


def test_a_traceback_and_a_hang_are_seen(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.search.cli.hostile_lab.TIMEOUT_S", 1)
    for endless in (False, True):

        def fail(*_: object, endless: bool = endless) -> None:
            while endless:
                pass
            raise ZeroDivisionError

        with refusing_lab(scratch), monkeypatch.context() as patch:
            patch.setattr("search.cli.search_run.study_folder", fail)
            assert wrong(*search(scratch, "mine"), scratch) is not None
