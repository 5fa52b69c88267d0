"""How commands speak: errors in one line with exit code 2, progress bars, tables."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
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

MIN_COLUMNS = 20  # a terminal that is said to be narrower is taken for one of the usual width

if not (os.environ.get("COLUMNS") or "0").isdecimal() or (
    int(os.environ.get("COLUMNS") or "0") < MIN_COLUMNS
):
    os.environ.pop("COLUMNS", None)

console = Console()
errors = Console(stderr=True)


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
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter(f"{number} is no finite number")
    return value


def positive(value: Number) -> Number:
    """Refuse what is not finite and above 0: a callback of options."""
    finite(value)
    for number in value if isinstance(value, list) else [value]:
        if number is not None and number <= 0:
            raise typer.BadParameter(f"{number} is not above 0")
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
