"""`latlab jobs`: list the open jobs and what each waits for."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import show
from latlab.client.client import LatencyClient


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most jobs to list.")] = 50,
) -> None:
    """List the open jobs and what each waits for."""
    with LatencyClient.connect() as client:
        shown, total = client.jobs(limit)
    table = Table("job", "target", "priority", "visits", "waits for", title=f"{total} open jobs")
    for job in shown:
        cells = (job.target, str(job.priority), str(job.visits_done), job.waits_for)
        table.add_row(job.id[:12], *cells)
    show(table)
