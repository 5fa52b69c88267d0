"""`latlab jobs`: list the open jobs and what each waits for, and cancel jobs."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, show
from latlab.client.client import LatencyClient
from latlab.domain.job import OpenJob

app = typer.Typer(help="List the open jobs and what each one waits for; cancel jobs.")


@app.callback(invoke_without_command=True)
def jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most jobs to list.")] = 50,
) -> None:
    """List the open jobs and what each one waits for; cancel jobs."""
    if context.invoked_subcommand is not None:
        return
    with LatencyClient.connect() as client:
        shown, total = client.jobs(limit)
    columns = ("job", "target", "program", "age", "priority", "visits", "waits for")
    table = Table(*columns, title=f"{total} open jobs")
    for job in shown:
        numbers = (_age(job), str(job.priority), str(job.visits_done))
        table.add_row(job.id[:12], job.target, job.program_sha256[:12], *numbers, job.waits_for)
    show(table)


@app.command()
def cancel(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="The jobs' ids, or at least their first 6 characters."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="Cancel jobs of this target only: its id or name.")
    ] = "",
    program: Annotated[
        str,
        typer.Option(
            "--program", help="Cancel jobs of this program only: at least 6 digits of its SHA-256."
        ),
    ] = "",
) -> None:
    """Cancel the open jobs that meet every condition given, of which there must be one.

    Whoever waits for them is told. A visit under way ends first, and its samples are kept.
    """
    with LatencyClient.connect() as client:
        cancelled = client.cancel_jobs(ids or [], target=target, program_sha256=program)
    console.print(f"Jobs cancelled: {len(cancelled)}.")


def _age(job: OpenJob) -> str:
    if not job.created_unix_ns:
        return ""
    return str(timedelta(seconds=max(0, time.time_ns() - job.created_unix_ns) // 10**9))
