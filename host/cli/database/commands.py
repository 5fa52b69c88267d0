"""`latlab db`: back up, restore, check, compact and export the lab's database."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from host.cli.console import console, words
from host.cli.database.exported_files import check_name, write_rows
from host.cli.database.opened_database import followed, opened_database, restore_database
from latlab.domain.database.maintenance import (
    Compaction,
    CompactionPolicy,
    DatabaseFinding,
    ExportedRows,
)
from latlab.domain.errors import InvalidRequest

SECONDS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}

app = typer.Typer(
    help="Back up, restore, check, compact and export the lab's database, while the lab runs or"
    " while it does not.",
    no_args_is_help=True,
)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, of SQLite.")],
) -> None:
    """Write the whole database, as it is at one instant, to a new file.

    Measuring goes on meanwhile. The file holds everything that was measured, and all that people
    decided. Programs' files are not in it. Keep the file private, as the lab's folder is.
    """
    with opened_database() as database:
        for _ in followed(database.back_up(file)):
            pass
    size = _megabytes(file.stat().st_size)
    console.print(f"{file} holds the database: {size}.", soft_wrap=True)
    console.print("`latlab db restore` brings it back. Programs' files are not in it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `latlab db backup`.")],
) -> None:
    """Put a backup in the place of the database, while the lab does not run.

    The database before it is kept beside it. One of PostgreSQL must be empty. Programs' files are
    not in a backup: without them everything that was measured is of use, but open jobs fail until
    their networks are measured again, and baselines must be set again.
    """
    kept = restore_database(file)
    if kept is not None:
        console.print(f"The database before it is kept as {kept}.", soft_wrap=True)
    console.print(f"The database of {file} is restored.", soft_wrap=True)
    console.print("Start the lab with `latlab lab up`.")
    console.print("`latlab db check` lists the programs whose files are missing now, if any.")


@app.command()
def check(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON, for scripts.")
    ] = False,
) -> None:
    """Check that the database is whole, and that what it says fits together.

    It reads everything that was measured, page by page, and computes each summary again.
    """
    with opened_database() as database:
        findings = list(followed(database.check()))
    if as_json:
        # Typed as text: no word of a finding is read as a style.
        sys.stdout.write(json.dumps({"findings": list(map(asdict, findings))}, indent=2) + "\n")
    else:
        _show_findings(findings)
    if findings:
        raise typer.Exit(1)


@app.command()
def compact(
    older_than: Annotated[
        str,
        typer.Option(
            help="Remove samples of measurements that are older than this: 90d, 12w or 48h."
        ),
    ],
    traces_only: Annotated[
        bool,
        typer.Option(
            "--traces-only",
            help="Remove only the kernels' times of each traced run, which take most of the space.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, and say what would be removed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
) -> None:
    """Remove raw samples of old measurements, and give their space back.

    Latencies, intervals, quantiles, kernels' mean times and conditions stay exactly as they are,
    and predictors learn from them as before. Baselines of sentinels and open jobs keep all.
    """
    policy = CompactionPolicy(_before_unix_ns(older_than), traces_only, dry_run)
    if not dry_run and not yes:
        _confirm(policy)
    with opened_database() as database:
        [compaction] = followed(database.compact(policy))
    _show_compaction(compaction, dry_run)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file.csv or file.parquet.")],
    kernels: Annotated[
        bool, typer.Option("--kernels", help="One row for each kernel of each measurement.")
    ] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="One row for each timed run of each visit.")
    ] = False,
) -> None:
    """Write what was measured to a CSV or Parquet file, one row for each measurement.

    Names of columns end in their unit. In a CSV file, a text that a spreadsheet would take for a
    formula begins with an apostrophe. A file that exists is replaced.
    """
    if kernels and samples:
        raise InvalidRequest("--kernels and --samples make different rows: choose one of them")
    rows = ExportedRows.KERNELS if kernels else ExportedRows.MEASUREMENTS
    rows = ExportedRows.SAMPLES if samples else rows
    check_name(file)
    with opened_database() as database, console.status("exporting"):
        written = write_rows(file, database.export(rows))
    console.print(f"{file} has {written:,} rows of {rows.value}.", soft_wrap=True)


def _before_unix_ns(age: str) -> int:
    """Return the time before which measurements are older than an age such as 90d."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", age)
    if found is None:
        raise InvalidRequest(
            f"--older-than is {age!r}: give a number with h, d or w, such as 48h, 90d or 12w"
        )
    return time.time_ns() - int(found[1]) * SECONDS[found[2]] * 10**9


def _confirm(policy: CompactionPolicy) -> None:
    """Ask on a terminal. Raises InvalidRequest without one."""
    if not sys.stdin.isatty():
        raise InvalidRequest(
            "samples that are removed cannot be brought back: say --yes, or look first with"
            " --dry-run"
        )
    what = "times of single kernels' runs" if policy.traces_only else "raw samples"
    date = f"{datetime.fromtimestamp(policy.before_unix_ns / 1e9):%Y-%m-%d %H:%M}"
    typer.confirm(
        f"Remove the {what} of all measurements before {date}? They cannot be brought back.",
        abort=True,
    )


def _show_findings(findings: list[DatabaseFinding]) -> None:
    for finding in findings:
        console.print(words((finding.kind, "bold"), f": {finding.subject}: {finding.problem}"))
        console.print(f"  {finding.remedy}")
    console.print(
        f"Findings: {len(findings)}." if findings else "The database is whole: no findings."
    )


def _show_compaction(compaction: Compaction, is_dry_run: bool) -> None:
    verb = "would lose" if is_dry_run else "lost"
    console.print(
        f"Measurements that {verb} samples: {compaction.measurements:,},"
        f" {_megabytes(compaction.removed_bytes)}."
    )
    for reason, count in sorted(compaction.kept.items()):
        console.print(f"Measurements of that age that keep theirs: {count:,}, because {reason}.")
    if not is_dry_run:
        console.print(f"The database became smaller by {_megabytes(compaction.returned_bytes)}.")
    if compaction.advice:
        console.print(f"{compaction.advice[:1].upper()}{compaction.advice[1:]}.")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
