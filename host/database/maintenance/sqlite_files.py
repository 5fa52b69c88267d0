"""Copy and look into files of SQLite, below SQLAlchemy."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from latlab.domain.errors import DiskFull, StorageError

HEADER = b"SQLite format 3\0"
PAGES_A_STEP = 1_000  # 4 MB: between two steps a copy can be stopped, and says how far it is
BUSY_TIMEOUT_S = 30.0
FULL = "database or disk is full"

OnProgress = Callable[[int, int], None]  # is called with what is done, and the total


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file of SQLite. Raises StorageError for all that SQLite refuses in the block."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        # A damaged text must not make all rows of its query unreadable.
        connection.text_factory = lambda text: text.decode(errors="replace")
        with contextlib.closing(connection):
            yield connection
    except sqlite3.Error as error:
        if str(error) == FULL:
            raise DiskFull(f"the disk that holds {path.parent} is full: free some space") from error
        raise StorageError(f"{path}: SQLite says: {error}") from error


def copy_file(source_path: Path, target_path: Path, on_progress: OnProgress) -> None:
    """Copy a database, which others may use meanwhile, into a new file.

    The copy is the database at one instant. One read transaction is held for the whole copy, so
    writers neither disturb it nor wait for it. Until it ends, the write-ahead log grows.

    Args:
        source_path: The database.
        target_path: An empty file. The copy needs no files beside it.
        on_progress: Is called after each step with the pages that are copied, and all pages. What
            it raises ends the copy.

    Raises:
        StorageError: A file cannot be read or written.
    """
    with opened(source_path) as source, opened(target_path) as target:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # begins to read
        source.backup(
            target,
            pages=PAGES_A_STEP,
            progress=lambda _, remaining, total: on_progress(total - remaining, total),
        )
        target.execute("PRAGMA journal_mode=DELETE").fetchone()


def size_bytes(path: Path) -> int:
    """Return the size of a database as SQLite sees it, in bytes. Raises StorageError."""
    with opened(path) as connection:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)


def problems(path: Path, most: int) -> list[str]:
    """Return what SQLite finds damaged in a file, at most so many lines. Raises StorageError."""
    with opened(path) as connection:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({most})")]
    return [] if found == ["ok"] else found


def broken_references(path: Path, most: int) -> list[tuple[str, int, str]]:
    """Return (table, row id, table that lacks the row) of references that lead nowhere.

    Args:
        path: The database.
        most: The most to return.

    Raises:
        StorageError: The file cannot be read.
    """
    with opened(path) as connection:
        found = itertools.islice(connection.execute("PRAGMA foreign_key_check"), most)
        return [(str(row[0]), int(row[1] or 0), str(row[2])) for row in found]
