"""How commands speak: errors in one line with exit code 2, progress bars, tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
