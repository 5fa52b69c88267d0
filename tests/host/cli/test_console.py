"""How commands speak: literally, at any width, and in one line where something is wrong."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.table import Column, Table
from typer.testing import CliRunner

from host.cli.console import DEFECT, Commands, console, milliseconds, show, words
from latlab.domain.errors import LabError

HASH = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.00 ms"),
        (41_234, "0.0412 ms"),
        (7.52e6, "7.52 ms"),
        (123.4e6, "123 ms"),
        (12_345.6e6, "12346 ms"),
    ],
)
def test_a_latency_has_at_least_three_significant_digits(ns: float, text: str) -> None:
    assert milliseconds(ns) == text


def shown(table: Table, capsys: pytest.CaptureFixture[str]) -> str:
    show(table)
    return capsys.readouterr().out


def some_table() -> Table:
    table = Table(Column("device", no_wrap=True), "state", "", title="Devices", caption="a caption")
    table.add_row(words("Raspberry Pi 5", "\n", ("serial-17", "dim")), "idle", HASH)
    table.add_row("board", "cooling, since it is at 71 °C", "")
    return table


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120])
def test_a_table_breaks_no_word(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    output = shown(some_table(), capsys)
    for word in ("Raspberry", "serial-17", "cooling,", "Devices", "caption"):
        assert word in output
    assert all(len(line) <= columns for line in output.splitlines())
    if columns > len(HASH):
        assert HASH in output
    assert ("┃" in output) == (columns >= 80)
    assert ("state: idle" in output) == (columns < 80)


@pytest.mark.parametrize("columns", ["0", "", "wide", "-4", "²", "1e3", "99999999999999"])
def test_columns_that_are_none_count_as_80(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    output = shown(some_table(), capsys)
    assert "Raspberry" in output
    assert max(map(len, output.splitlines())) <= 80


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(max_size=30)
    | st.sampled_from(["[/]", "[red]x[/blue]", ":smile:", "\x1b[31m", "\udc80"]),
    st.integers(1, 130),
)
def test_whatever_is_printed_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], text: str, columns: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        table = Table("name")
        table.add_row(text)
        table.add_row(words((text, "red")))
        console.print(text, soft_wrap=True)
        show(table)
    output = capsys.readouterr().out
    assert "\x1b" not in output
    if text.isprintable():
        assert text in output


def result_of(fails: Exception) -> Any:  # noqa: ANN401
    app = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise fails

    app.command()(lambda: None)
    return CliRunner().invoke(app, ["fail"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LabError("two\nlines [/] \x07"), r"error: two lines [/] \x07"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "error: /x: Permission denied (",
        ),
        (OSError(errno.ENOSPC, "No space", "/x/y"), "error: the disk that holds /x is full: free"),
        (OSError(errno.ENOSPC, "No space"), "error: the disk that holds the lab's files is full"),
        (LabError(""), "error: an error without a message"),
    ],
)
def test_what_was_foreseen_is_one_line(error: Exception, line: str) -> None:
    result = result_of(error)
    assert result.exit_code == 2
    [said] = result.stderr.splitlines()
    assert said.startswith(line)


def test_a_message_without_end_is_cut() -> None:
    result = result_of(LabError("x" * 10**6))
    assert len(result.stderr) < 3_000
    assert "…" in result.stderr


def test_a_defect_shows_where_it_is_and_has_an_exit_code_of_its_own() -> None:
    result = result_of(ZeroDivisionError("by zero"))
    assert result.exit_code == DEFECT
    assert "test_console.py" in result.stderr
    assert "please report it" in result.stderr.splitlines()[-1]


def test_an_interrupt_is_no_defect() -> None:
    assert result_of(KeyboardInterrupt()).exit_code == 130  # type: ignore[arg-type]


def test_each_command_says_what_its_exit_codes_mean() -> None:
    app = typer.Typer(cls=Commands, rich_markup_mode=None)
    group = typer.Typer()
    group.command("inner")(lambda: None)
    app.add_typer(group, name="group")
    app.command("outer")(lambda: None)
    for path in (["outer"], ["group", "inner"]):
        assert "Exit codes: 0 when" in CliRunner().invoke(app, [*path, "--help"]).stdout


@pytest.mark.parametrize("argument", ["a\0b", "a\udc80"])
def test_what_is_no_text_is_refused(argument: str) -> None:
    app = typer.Typer(cls=Commands)
    app.command()(lambda name: None)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["other", argument])
    assert result.exit_code == 2
    assert "is not valid text" in result.stderr
