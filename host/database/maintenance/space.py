"""Give the space of removed rows back to the disk."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from host.database.engine import Database
from host.database.maintenance.sqlite_files import opened, size_bytes
from latlab.common.files import require_space
from latlab.domain.database.maintenance import Progress
from latlab.domain.errors import DiskFull

STEP = "giving space back"
PAGES_A_STEP = 1_000  # 4 MB, in a transaction of milliseconds
INCREMENTAL = 2  # of SQLite's auto_vacuum
POSTGRESQL = "PostgreSQL uses the space again; its autovacuum gives back what it can"
REST = (
    "what small samples took between others is used again for new measurements, or given back if"
    " you run the same command after `latlab lab down`"
)
OLD_FILE = (
    "the file was made by an older version: the lab uses the space again, and gives it back if"
    " you run the same command after `latlab lab down`"
)


def give_back(database: Database, *, is_alone: bool) -> Generator[Progress, None, tuple[int, str]]:
    """Make the database's file smaller, and yield how far that is.

    Others may use the database meanwhile, unless `is_alone`.

    Returns:
        By how many bytes the file became smaller, and how the rest is given back; empty if there
        is none.
    """
    if database.engine.dialect.name != "sqlite":
        return 0, POSTGRESQL
    file = Path(database.engine.url.database or "")
    before_bytes = size_bytes(file)
    advice = ""
    if is_alone:
        yield Progress(STEP, 0, 1)
        try:
            require_space(file.parent, before_bytes)
        except DiskFull as error:
            return 0, f"{error}, then run the same command again to give the space back"
        # From now on the file gives its unused pages back step by step, also beside others.
        with opened(file) as connection:
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            connection.execute("VACUUM")
        yield Progress(STEP, 1, 1)
    else:
        with database.reading() as connection:
            mode = connection.execute(text("PRAGMA auto_vacuum")).scalar_one()
        if mode == INCREMENTAL:
            yield from _free_pages(database)
        advice = REST if mode == INCREMENTAL else OLD_FILE
    return max(0, before_bytes - size_bytes(file)), advice


def _free_pages(database: Database) -> Generator[Progress, None, None]:
    total = _unused_pages(database)
    left = total
    yield Progress(STEP, 0, total)
    while left:
        with database.writing() as connection:
            driver: Any = connection.connection.driver_connection
            # Each step of the statement frees a page. SQLAlchemy would make one step only, because
            # the rows have no columns.
            driver.execute(f"PRAGMA incremental_vacuum({PAGES_A_STEP})").fetchall()
        before, left = left, _unused_pages(database)
        yield Progress(STEP, max(0, total - left), total)
        if left >= before:  # others remove rows meanwhile
            return


def _unused_pages(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(text("PRAGMA freelist_count")).scalar_one())
