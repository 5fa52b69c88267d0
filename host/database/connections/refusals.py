"""Tell the database's refusals apart: busy, full, or damaged."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError, TimeoutError

from latlab.domain.errors import DatabaseBusy, DiskFull, StorageError

BUSY_CODES = (
    *("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"),
    *("55P03", "57014", "40P01"),  # a lock or a statement took too long; a deadlock
    *("53300", "57P01", "57P02", "57P03"),  # too many connections; the server starts or stops
)
BUSY_MESSAGES = ("database is locked", "database table is locked")
FULL_CODES = ("SQLITE_FULL", "53100")
FULL_MESSAGE = "database or disk is full"


def refusal_of(error: OperationalError | TimeoutError) -> StorageError:
    """Return the error of a database that refused a statement."""
    if isinstance(error, TimeoutError):
        return DatabaseBusy("the database is busy (all connections are in use): try again")
    code = getattr(error.orig, "sqlite_errorname", "") or getattr(error.orig, "sqlstate", "")
    # psycopg knows no code where the server does not answer. Python 3.10 knows no name of SQLite's
    # errors, and one message for each of those that are meant.
    if code is None or code in BUSY_CODES or str(error.orig) in BUSY_MESSAGES:
        return DatabaseBusy(f"the database is busy ({error.orig}): try again")
    if code in FULL_CODES or str(error.orig) == FULL_MESSAGE:
        return DiskFull("storage is full: free some space on the disk that holds the database")
    return StorageError(f"the database refused a statement: {error.orig}")


def first_refusal(error: OperationalError) -> OperationalError:
    """Return the database's first refusal of those that led to `error`.

    On a full disk SQLite undoes the whole transaction. Then it refuses to undo the savepoint.
    """
    first, cause = error, error.__context__
    while cause is not None:
        if isinstance(cause, OperationalError):
            first = cause
        cause = cause.__context__
    return first
