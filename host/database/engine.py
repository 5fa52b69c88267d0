"""The database, which many threads read while one writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError, TimeoutError

from host.database.connections.call_reads import reading_on
from host.database.connections.opening import open_engine
from host.database.connections.refusals import first_refusal, refusal_of
from host.database.schema import database_id
from latlab.domain.errors import DatabaseBusy

TURN_TIMEOUT_S = 30  # for the writers of this process that come first
MAX_BATCH = 64


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """Undo what the block has written if it raises.

    SQLAlchemy's own savepoints are compiled anew each time, which takes longer than a short write.
    """
    connection.exec_driver_sql("SAVEPOINT write")
    try:
        yield
    except BaseException:
        if not connection.invalidated:  # or else the server has gone, and undoes everything
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT write")
            connection.exec_driver_sql("RELEASE SAVEPOINT write")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT write")


class _Batch:
    """The writes of several threads in one transaction, each in a savepoint of its own.

    Attributes:
        committed: Done when all writes are durable. It has the error if none is.
    """

    def __init__(self, engine: Engine) -> None:
        self._transaction = engine.begin()
        self.connection = self._transaction.__enter__()
        self.writes = 0
        self.committed: Future[None] = Future()

    def end(self, error: Exception | None) -> None:
        """Commit; or undo all writes because of an error, which may have spoiled any of them."""
        try:
            self._transaction.__exit__(type(error) if error else None, error, None)
        except Exception as refused:  # otherwise the others would wait for ever
            error = error or refused
        if error is None:
            self.committed.set_result(None)
        else:
            self.committed.set_exception(error)


class Database:
    """A database with one writer at a time.

    The functions of this package take the connections that it hands out.

    Attributes:
        id: The database's own name, which was made with it.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._writer = threading.Lock()
        self._counting = threading.Lock()
        self._waiting_writers = 0
        self._batch: _Batch | None = None
        with self.reading() as connection:
            self.id: str = connection.execute(select(database_id.c.id)).scalar_one()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hand out a connection to read from the database.

        Raises StorageError, and Unavailable where the reads belong to a call for which nobody waits
        any more: see `host.database.connections.call_reads`.
        """
        with (
            self.refusals(),
            self.engine.connect().execution_options(writes=False) as connection,
            reading_on(connection),
        ):
            yield connection

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Raise StorageError in place of what the database raises when it refuses a statement."""
        try:
            yield
        except (OperationalError, TimeoutError) as error:
            raise refusal_of(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hand out a connection to write to the database, in a transaction.

        The transaction is committed and durable when the block ends. It is undone if the block
        raises. A commit waits for the disk, for milliseconds, and a thousand devices need
        hundreds of writes a second. So a writer leaves the commit to the next writer that
        already waits, and the last one commits for all.

        Raises StorageError if the database refuses the write, for example on a full disk, and
        DatabaseBusy if other work keeps it locked.
        """
        asked_s = time.monotonic()
        try:
            with self._turn():
                # A batch that is open waits for this writer to commit it.
                if self._batch is None and time.monotonic() > asked_s + TURN_TIMEOUT_S:
                    raise DatabaseBusy("the database is busy (other writers came first): try again")
                batch = self._batch = self._batch or _Batch(self.engine)
                error = None
                try:
                    with _savepoint(batch.connection):
                        yield batch.connection
                except OperationalError as refused:
                    error = first_refusal(refused)
                finally:
                    batch.writes += 1
                    if error or not self._waiting_writers or batch.writes == MAX_BATCH:
                        self._batch = None
                        batch.end(error)
            batch.committed.result()
        except (OperationalError, TimeoutError) as error:
            raise refusal_of(error) from error

    def size_bytes(self, connection: Connection) -> int:
        """Return the database's size on disk, without SQLite's write-ahead log."""
        if self.engine.dialect.name == "sqlite":
            query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        else:
            query = "SELECT pg_database_size(current_database())"
        return int(connection.exec_driver_sql(query).scalar_one())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the writer's lock, and count how many wait for it."""
        with self._counting:
            self._waiting_writers += 1
        with self._writer:
            with self._counting:
                self._waiting_writers -= 1
            yield

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
