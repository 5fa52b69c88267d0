"""`latlab measurements`: list, show, exclude and include stored measurements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import RAW_COLUMNS, console, milliseconds, raw_cells
from host.cli.console import show as show_table
from host.cli.shown_measurement import (
    facts,
    interval,
    kernels_table,
    plot_table,
    time_text,
    visits_table,
)
from latlab.client.client import LatencyClient
from latlab.domain.errors import StorageError
from latlab.domain.measurement import StoredMeasurement

app = typer.Typer(
    help="List, show, exclude and include stored measurements.",
    no_args_is_help=True,
)

IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The measurement's id, or at least its first 6 characters."),
]


@app.command("list")
def list_measurements(
    target: Annotated[
        str, typer.Option("--target", help="List measurements of this target only: its id or name.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="The most measurements to list.")
    ] = 50,
    every: Annotated[
        bool, typer.Option("--all", help="List all measurements, whatever --limit says.")
    ] = False,
    unusable: Annotated[
        bool, typer.Option("--unusable", help="List only measurements that cannot be used.")
    ] = False,
) -> None:
    """List measurements, the newest first; suspect, excluded and unusable ones too."""
    with LatencyClient.connect() as client:
        asked_for = 0 if every else limit + 1
        found = client.stored.list(target, limit=asked_for, only_unusable=unusable)
        shown = list(found if every else islice(found, limit))
        more = next(found, None) is not None
    show_table(_list_table(shown))
    if more:
        console.print(f"There are more than {limit}: use --all or a higher --limit.")


@app.command()
def show(
    measurement: IdArgument,
    every: Annotated[
        bool, typer.Option("--all", help="Show all kernels, in the order in which they run.")
    ] = False,
) -> None:
    """Show one measurement: its latency, visits, conditions, samples and kernels."""
    with LatencyClient.connect() as client:
        stored = client.stored.find(measurement)
        try:
            whole = client.measurement(stored.id)
        except StorageError:  # `stored` says why
            whole = None
    for label, value in facts(stored, whole):
        console.print(f"{label}: {value}")
    if whole is not None:
        for table in (visits_table(whole), plot_table(whole), kernels_table(whole, every)):
            show_table(table)


@app.command()
def exclude(
    measurement: IdArgument,
    why: Annotated[
        str, typer.Option("--why", help="The reason, which is kept with the measurement.")
    ],
) -> None:
    """Keep a measurement, but neither answer with it nor learn from it.

    Measuring the network again makes a new measurement. Studies keep the latency that they hold.
    """
    with LatencyClient.connect() as client:
        whole_id = client.stored.exclude(measurement, why)
    console.print(f"{whole_id} is excluded; `latlab measurements include` uses it again.")


@app.command()
def include(measurement: IdArgument) -> None:
    """Use an excluded measurement again."""
    with LatencyClient.connect() as client:
        whole_id = client.stored.include(measurement)
    console.print(f"{whole_id} is used again.")


def _list_table(shown: Sequence[StoredMeasurement]) -> Table:
    columns = ("id", "when", "target", "latency", "90 % interval", *RAW_COLUMNS, "remarks")
    table = Table(*columns)
    for stored in shown:
        table.add_row(
            stored.id[:12],
            time_text(stored.unix_ns),
            stored.target,
            "" if stored.latency_ns is None else milliseconds(stored.latency_ns),
            interval(stored),
            *raw_cells(stored.raw),
            _flags(stored),
        )
    return table


def _flags(stored: StoredMeasurement) -> str:
    flags = []
    if stored.unusable:
        flags.append(f"unusable: {stored.unusable}")
    if stored.exclusion is not None:
        flags.append(f"excluded: {stored.exclusion.why}")
    if stored.suspect:
        flags.append("suspect")
    if stored.is_sentinel:
        flags.append("sentinel")
    if stored.untraced:
        flags.append("no kernel times")
    return "; ".join(flags)
