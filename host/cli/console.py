"""Output of the commands: plain text, tables, progress bars, and errors in one line.

Strings are printed as they are, because names and messages come from users, files and devices.
No string is read as markup, and control characters are shown as escapes. `words` gives a style to
parts of a text.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleDimensions
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from latlab.common.files import storage_error
from latlab.domain.checks.text import visible
from latlab.domain.errors import LabError
from latlab.domain.estimate import RawSamples, milliseconds_text

NARROWEST = 20  # columns; output for a narrower screen is written for this width
MAX_ERROR = 2_000  # characters
DEFECT = 70  # the exit code of an unforeseen error, EX_SOFTWARE of sysexits.h
EXIT_CODES = (
    "Exit codes: 0 when all went well; 1 when a requested action was tried and failed, or when "
    "something is found to be wrong; 2 for wrong usage, or for any other error that is explained "
    "in one line; 130 when interrupted."
)
OPTIONS_PANEL = "Options"  # for options without a panel of their own
RAW_COLUMNS = ("median, p90, p99", "clean visits")
_WIDER_THAN_ANY = 100_000  # columns


class Screen(Console):
    """A console that prints text literally.

    It is as wide as COLUMNS says if that is a number above 0, else as wide as the terminal, else
    80 columns wide.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        others = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, _environ=others)

    @property  # type: ignore[misc]  # rich's property can be set as well
    def size(self) -> ConsoleDimensions:
        """The size of the terminal now, for a terminal can be resized."""
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if re.fullmatch("[0-9]{1,4}", columns) else 0
        found = super().size
        return ConsoleDimensions(max(NARROWEST, width or found.width), found.height)

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 -- as Console has it
        return super().render_str(visible(text, "\n"), **how)


console = Screen()
errors = Screen(stderr=True)


class Command(TyperCommand):
    """A command whose help lists options in sections, named by their `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- private types
        """Write a section for each panel, in the order of the parameters, and "Options" last."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            is_argument = parameter.param_type_name == "argument"
            panel = getattr(parameter, "rich_help_panel", None)
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = panel or ("Arguments" if is_argument else OPTIONS_PANEL)
                panels.setdefault(panel, []).append(record)
        others = panels.pop(OPTIONS_PANEL, [])
        for panel, records in [*panels.items(), (OPTIONS_PANEL, others)]:
            with formatter.section(panel):
                formatter.write_dl(records)


class Commands(TyperGroup):
    """The root of all commands, which explains their exit codes and sees that they hold."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- as TyperGroup has them
        super().__init__(**attributes)
        explain_exit_codes(self)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- private type
        """Parse arguments, and end in one line if they are wrong."""
        for argument in args:
            if "\0" in argument or not _is_unicode(argument):
                _fail(f"the argument {argument!r} is not valid text: leave out what is not UTF-8")
        with _errors_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- as TyperGroup has it
        """Run the command, and end in one line if it fails."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # which may know fewer characters
                stream.reconfigure(errors="backslashreplace")
        with _errors_in_one_line():
            return super().invoke(ctx)


@contextmanager
def reported(*kinds: type[Exception]) -> Iterator[None]:
    """Let errors of these kinds end the command with their message and exit code 2.

    Errors of the lab's tree do so everywhere.
    """
    try:
        yield
    except kinds as error:
        _fail(str(error), error)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Let wrong usage, the lab's errors and file errors end in one line, with exit code 2.

    Every other error is a defect. It ends with its traceback, for those who correct it.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, EOFError):
        raise
    except typer.TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a group without a command shows its help
            raise
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        _fail(message.rstrip(".") + _refused(error) + hint, error)
    except LabError as error:
        _fail(str(error), error)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has ended, as `head` does
            raise
        _fail(str(storage_error(error)), error)
    except Exception as error:
        traceback.print_exc()
        _print_error("this is a defect of Latency Lab: please report it with the lines above")
        raise typer.Exit(DEFECT) from error


def _refused(error: typer.TyperException) -> str:
    """Return the value of an option that is out of its range, which Typer does not name."""
    found: list[Any] = getattr(error.__cause__, "errors", list)()  # pydantic's, for Typer
    values = [repr(each["input"]) for each in found if "input" in each]
    return "".join(f", not {value if len(value) < 80 else value[:77] + '...'}" for value in values)


def _fail(message: str, cause: BaseException | None = None) -> NoReturn:
    _print_error(message)
    raise typer.Exit(2) from cause


def _print_error(message: str) -> None:
    line = " ".join(message.split()) or "an error without a message"
    if len(line) > MAX_ERROR:
        line = f"{line[: MAX_ERROR // 2]} … {line[-MAX_ERROR // 2 :]}"
    errors.print(words(("error:", "bold red"), f" {line}"), soft_wrap=True)


def explain_exit_codes(command: Any) -> None:  # noqa: ANN401 -- Typer's types are private
    """Explain the exit codes in the help of a command, or of all commands of a group."""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            explain_exit_codes(each)
    else:
        command.epilog = command.epilog or EXIT_CODES


def words(*parts: str | tuple[str, str]) -> Text:
    """Return text whose parts may have a style: `words("it is ", ("bold", "bold red"))`."""
    text = Text()
    for part in parts:
        content, style = (part, "") if isinstance(part, str) else part
        text.append(visible(content, "\n"), style)
    return text


def show(table: Table) -> None:
    """Print a table, or lines of `column: value` on a screen too narrow for its longest words."""
    if _fit(table):
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="italic")
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for column, cell in zip(table.columns, row, strict=True):
            value = Text(", ").join(_text(cell).split("\n"))
            if value.plain:
                header = _text(column.header)
                console.print(header + ": " + value if header.plain else value)
        console.print()
    if table.caption:
        console.print(table.caption, style="dim")


def _fit(table: Table) -> bool:
    """Give each column at least the width of its longest word.

    Returns:
        Whether the screen is wide enough for all columns.
    """
    room = console.width - (3 * len(table.columns) + 1)  # frames, and a space beside each
    needed = [_measured(column) for column in table.columns]
    widths = [each.minimum for each in needed]
    room -= sum(widths)
    if room < 0:
        return False
    while room and (open_ := [i for i, each in enumerate(needed) if widths[i] < each.maximum]):
        share = max(1, room // len(open_))
        for i in open_:
            more = min(share, room, needed[i].maximum - widths[i])
            widths[i] += more
            room -= more
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return True


def _measured(column: Column) -> Measurement:
    """Return the widths of a column's longest word and longest line, header included."""
    texts = [_text(cell) for cell in (column.header, *column.cells)]
    wide = console.options.update(width=_WIDER_THAN_ANY)
    measured = [Measurement.get(console, wide, text) for text in texts]
    longest = max(each.maximum for each in measured)
    shortest = longest if column.no_wrap else max(each.minimum for each in measured)
    return Measurement(max(1, shortest), max(1, longest))


def _text(cell: Any) -> Text:  # noqa: ANN401 -- rich does not say what cells are
    return cell if isinstance(cell, Text) else console.render_str(str(cell))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def progress_bar(screen: Screen = console) -> Progress:
    """Return a progress bar that is drawn twice a second.

    Drawing more often would disturb measurements on this machine.

    Args:
        screen: Where it is drawn: on `errors` by commands that write a document to stdout.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=screen,
        refresh_per_second=2,
        transient=not screen.file.isatty(),
    )


def milliseconds(ns: float) -> str:
    """Return a time in ns as text in ms, with the unit; see `milliseconds_text`."""
    return f"{milliseconds_text(ns)} ms"


def signed_text(ns: float) -> str:
    """Return a difference of times in ms, with its sign and without the unit."""
    return f"{'+' if ns >= 0 else ''}{milliseconds_text(ns)}"


def raw_cells(raw: RawSamples | None) -> tuple[str, str]:
    """Return the cells of RAW_COLUMNS: quantiles of all timed runs, and how many visits count."""
    return ("", "") if raw is None else (raw.quantiles_text, raw.visits_text)
