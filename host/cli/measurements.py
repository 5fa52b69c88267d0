"""`latlab measurements`: list, show, exclude and include stored measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from host.cli.console import RAW_COLUMNS, console, milliseconds, raw_cells
from host.cli.console import show as show_table
from host.measuring.statistics import clean_samples, visit_latency_ns
from latlab.client.client import LatencyClient
from latlab.domain.errors import StorageError
from latlab.domain.measurement import Conditions, Measurement, StoredMeasurement

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
def show(measurement: IdArgument) -> None:
    """Show one measurement: its latency, its visits and the machine's conditions."""
    with LatencyClient.connect() as client:
        stored = client.stored.find(measurement)
        try:
            whole = client.measurement(stored.id)
        except StorageError:  # `stored` says why
            whole = None
    facts = _facts(stored)
    if whole is not None and whole.heat_unknown:
        facts.append(("Heat", "unknown: the device did not report it"))
    for label, value in facts:
        console.print(f"{label}: {value}")
    if whole is not None:
        show_table(_visits_table(whole))


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
            _time(stored.unix_ns),
            stored.target,
            "" if stored.latency_ns is None else milliseconds(stored.latency_ns),
            _interval(stored),
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


def _facts(stored: StoredMeasurement) -> list[tuple[str, str]]:
    facts = [
        ("Measurement", stored.id),
        ("Taken", _time(stored.unix_ns)),
        ("Target", f"{stored.target} ({stored.target_id})"),
        ("Program", stored.program_sha256),
    ]
    if stored.latency_ns is not None:
        facts.append(("Latency", f"{milliseconds(stored.latency_ns)}, 90 % {_interval(stored)}"))
    if stored.raw is not None:
        quantiles = stored.raw.quantiles_text
        facts.append(("All runs", f"median, p90 and p99 of {stored.raw.runs}: {quantiles}"))
        facts.append(("Clean visits", stored.raw.visits_text))
    if stored.unusable:
        facts.append(("Unusable", stored.unusable))
    if stored.suspect:
        facts.append(("Suspect", "the sentinel had drifted when it was taken"))
    if stored.is_sentinel:
        facts.append(("Sentinel", "the lab's own, held against its baseline"))
    if stored.untraced:
        facts.append(("Kernel times", "none: the trace does not match the program's kernels"))
    if (exclusion := stored.exclusion) is not None:
        facts.append(("Excluded", f"{_time(exclusion.unix_ns)}, {exclusion.why}"))
    for failure in stored.failed_visits:
        facts.append(("Failed visit", f"{failure.kind.value}: {failure.message}"))
    return facts


def _visits_table(measurement: Measurement) -> Table:
    """Return a table of visits. The quantiles include disturbed samples."""
    columns = ("visit", "latency", "p50", "p90", "p99", "clean", "before", "after")
    table = Table(*columns, title="Visits")
    for visit in measurement.visits:
        latency_ns = visit_latency_ns(visit)
        table.add_row(
            "traced" if visit.traced else "untraced",
            "disturbed" if latency_ns is None else milliseconds(latency_ns),
            *_quantiles(visit.wall_ns),
            f"{clean_samples(visit).mean():.0%}",
            _conditions(visit.before),
            _conditions(visit.after),
        )
    return table


def _quantiles(samples_ns: Sequence[int]) -> list[str]:
    return [milliseconds(float(ns)) for ns in np.quantile(samples_ns, (0.5, 0.9, 0.99))]


def _conditions(conditions: Conditions) -> str:
    parts = []
    if conditions.temperature_c is not None:
        parts.append(f"{conditions.temperature_c:.0f} °C")
    if conditions.clock_khz is not None:
        parts.append(f"{conditions.clock_khz / 1e3:.0f} MHz")
    if conditions.load_1min is not None:
        parts.append(f"load {conditions.load_1min:.2f}")
    if conditions.memory_probe_ns is not None:
        parts.append(f"memory probe {milliseconds(conditions.memory_probe_ns)}")
    if conditions.throttled:
        parts.append("throttled")
    return ", ".join(parts)


def _interval(stored: StoredMeasurement) -> str:
    if stored.lower_ns is None or stored.upper_ns is None:
        return ""
    return f"{milliseconds(stored.lower_ns)} to {milliseconds(stored.upper_ns)}"


def _time(unix_ns: int) -> str:
    return f"{datetime.fromtimestamp(unix_ns / 1e9):%Y-%m-%d %H:%M:%S}"
