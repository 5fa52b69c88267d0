"""Reach the lab's database: through the daemon while one runs, else in its file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from host.cli.console import errors, progress_bar
from host.database.engine import Database
from host.database.maintenance.maintenance import Maintenance
from host.database.maintenance.restore import restore
from host.database.summaries import Statistic
from host.home.paths import LabHome
from host.home.processes import LockedProcess, locked_home
from host.measuring.statistics import VERSION, summary_or_reason
from latlab.client.client import LatencyClient
from latlab.client.connection.environment import address_elsewhere
from latlab.client.database.maintenance import DatabaseClient
from latlab.domain.database.maintenance import Progress
from latlab.domain.errors import InvalidRequest, NotFound, NotReady

T = TypeVar("T")


@contextmanager
def opened_database() -> Iterator[Maintenance | DatabaseClient]:
    """Yield the lab's database.

    Without a daemon the lab's folder is locked meanwhile, so that none starts.

    Raises:
        NotFound: The lab has no database yet.
        StorageError: It cannot be opened.
        Unavailable: Another command works on the files, or a daemon is about to start.
    """
    home = LabHome.from_environment()
    process = LockedProcess(home.daemon_file, home.lock_file)
    if address_elsewhere() or process.info() is not None:
        with LatencyClient.connect() as client:
            yield client.database
        return
    if not os.environ.get("LATLAB_DATABASE_URL") and not (home.root / "lab.db").exists():
        raise NotFound(f"there is no database in {home.root}: `latlab lab up` makes one")
    with locked_home(process):
        database = Database(home.database_url)
        try:
            statistic = Statistic(VERSION, summary_or_reason)
            yield Maintenance(database, home.programs, statistic, is_alone=True)
        finally:
            database.close()


def restore_database(file: Path) -> Path | None:
    """Put a backup in the place of the database of this machine's lab.

    Returns where the database before it is kept; None if there was none. Raises NotReady while
    the lab runs, InvalidRequest for a lab elsewhere, and what
    `host.database.maintenance.restore.restore` raises.
    """
    if address_elsewhere():
        raise InvalidRequest(
            "LATLAB_ADDRESS names a lab that runs: a backup is restored on the lab's own machine,"
            " while it does not run and without that variable"
        )
    home = LabHome.from_environment()
    home.create()
    process = LockedProcess(home.daemon_file, home.lock_file)
    if process.info() is not None:
        raise NotReady(
            "the lab runs, so nothing was restored: stop it with `latlab lab down`, restore, and"
            " start it with `latlab lab up`"
        )
    with locked_home(process), progress_bar(errors) as bar:
        task = bar.add_task("restoring", total=None)
        return restore(
            file,
            home.database_url,
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def followed(events: Iterator[Progress | T]) -> Iterator[T]:
    """Draw the progress among the events, and yield the others."""
    with progress_bar(errors) as bar:
        tasks = {}
        for event in events:
            if not isinstance(event, Progress):
                yield event
                continue
            if event.step not in tasks:
                tasks[event.step] = bar.add_task(event.step)
            bar.update(tasks[event.step], completed=event.done, total=event.total)
