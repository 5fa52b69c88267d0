"""A call for which nobody waits stops reading, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from host.database.connections.call_reads import CallReads, begin_reads, read_for_all
from host.database.engine import Database
from latlab.domain.errors import Unavailable

TIMEOUT_S = 60.0
PAUSE_S = 0.01
SLOW = {  # for a minute or more
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n LIMIT 1000000000)"
    " SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(100)",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def read_slowly(connection: Connection) -> None:
    connection.execute(text(SLOW[connection.dialect.name]))


def test_a_statement_ends_with_its_call(database: Database) -> None:
    reads, begun = CallReads(), threading.Event()

    def read() -> None:
        begin_reads(reads)
        with database.reading() as connection:
            begun.set()
            read_slowly(connection)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert begun.wait(TIMEOUT_S)
        while not reading.done():
            reads.end()
            threading.Event().wait(PAUSE_S)
        with pytest.raises(Unavailable, match="nobody waits"):
            reading.result()
        begun.clear()
        with pytest.raises(Unavailable, match="nobody waits"):
            pool.submit(read).result(TIMEOUT_S)
        assert not begun.is_set()
    with database.reading() as connection:  # that of another call, which has the same connection
        reads.end()
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_what_others_need_too_is_read_to_its_end(database: Database) -> None:
    reads = CallReads()
    reads.end()

    def read() -> int:
        begin_reads(reads)
        with read_for_all(), database.reading() as connection:
            return int(connection.execute(text("SELECT 1")).scalar_one())

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(read).result(TIMEOUT_S) == 1
