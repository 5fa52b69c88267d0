"""Write to a database for one example of a test, and undo it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection

from host.database.engine import Database


class _Undone(Exception):
    pass


@contextlib.contextmanager
def undone(database: Database) -> Iterator[Connection]:
    """Hand out a connection to write to the database, whose writes are undone at the end."""
    with contextlib.suppress(_Undone), database.writing() as connection:
        yield connection
        raise _Undone
