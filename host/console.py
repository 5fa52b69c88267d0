"""How commands speak: errors in one line with exit code 2, progress bars, tables."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

MIN_COLUMNS = 20  # what is said to be narrower, COLUMNS=0 say, is no width
USUAL_COLUMNS = 80


def _console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr)
    if made.width < MIN_COLUMNS:
        made.width = USUAL_COLUMNS
    return made


console = _console()
errors = _console(stderr=True)


@contextmanager
def reported(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds end the command: their message, no traceback, exit code 2."""
    try:
        yield
    except kinds as error:
        errors.print(f"[bold red]error:[/] {_plain(str(error))}", highlight=False)
        raise typer.Exit(2) from error


Number = TypeVar("Number", float, "float | None", "list[float] | None")


def finite(value: Number) -> Number:
    """Refuse infinity and NaN, which parse as numbers: a callback of options."""
    return _checked(value, math.isfinite, "is no finite number")


def positive(value: Number) -> Number:
    """Refuse what is not finite and above 0: a callback of options."""
    return _checked(finite(value), lambda number: number > 0, "is not above 0")


def _checked(value: Number, is_allowed: Callable[[float], bool], fault: str) -> Number:
    """An option that is left out is None, and one that is repeated a list."""
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not is_allowed(number):
            raise typer.BadParameter(f"{number} {fault}")
    return value


def progress_bar() -> Progress:
    """Redrawn twice a second only: drawing is work on the core beside the measured one."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=2,
        transient=not sys.stdout.isatty(),
    )


def milliseconds(ns: float) -> str:
    return f"{ns / 1e6:.2f} ms"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
