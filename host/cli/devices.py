"""`latlab devices` beyond enrolling, and `latlab jobs`: what holds up which job."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, milliseconds, show, words
from latlab.client.client import LatencyClient

DeviceArgument = Annotated[
    str, typer.Argument(help="Its serial, or how it is reached, as `latlab lab status` shows.")
]


def drain(device: DeviceArgument) -> None:
    """Give a device no more jobs, from the end of its visit under way, until it is undrained."""
    with LatencyClient.connect() as client:
        client.set_drained(device, drained=True)
    console.print(f"{device} gets no more jobs.")


def undrain(device: DeviceArgument) -> None:
    """Give a drained device jobs again."""
    with LatencyClient.connect() as client:
        client.set_drained(device, drained=False)
    console.print(f"{device} gets jobs again.")


def note(
    device: DeviceArgument,
    text: Annotated[str, typer.Argument(help='What people should know; "" for nothing.')],
) -> None:
    """Leave a note on a device, in place of the one before."""
    with LatencyClient.connect() as client:
        client.set_note(device, text)


def history(device: DeviceArgument) -> None:
    """Show what befell a device: uptime, failures, sentinels."""
    with LatencyClient.connect() as client:
        past = client.history(device)
    connected = timedelta(seconds=past.connected_ns // 10**9)
    console.print(
        f"{past.serial}: first seen {_time(past.first_seen_unix_ns)}, connected for {connected}."
    )
    if past.note:
        console.print(past.note)
    failures = ", ".join(f"{count} {kind.value}" for kind, count in past.failures.items())
    console.print(f"Visits: {past.visits}; failed: {failures or 'none'}.")
    table = Table("when", "what", "", title="Events")
    for event in past.events:
        table.add_row(_time(event.unix_ns), event.kind.value, event.detail)
    show(table)
    table = Table("when", "target", "latency", "", title="Sentinels")
    for reading in past.sentinels:
        suspect = words(("suspect" if reading.suspect else "", "red"))
        latency = milliseconds(reading.latency_ns)
        table.add_row(_time(reading.unix_ns), reading.target_id, latency, suspect)
    show(table)


def jobs(limit: Annotated[int, typer.Option(min=1, max=10_000, help="Shown.")] = 50) -> None:
    """List the open jobs, and what each waits for."""
    with LatencyClient.connect() as client:
        shown, total = client.jobs(limit)
    table = Table("job", "target", "priority", "visits", "waits for", title=f"{total} open jobs")
    for job in shown:
        cells = (job.target, str(job.priority), str(job.visits_done), job.waits_for)
        table.add_row(job.id[:12], *cells)
    show(table)


def _time(unix_ns: int) -> str:
    return f"{datetime.fromtimestamp(unix_ns / 1e9):%Y-%m-%d %H:%M:%S}"
