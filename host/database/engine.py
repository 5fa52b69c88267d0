"""Open the database, SQLite or PostgreSQL, at the schema of this version."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, TimeoutError

from host.database.schema import database_id
from latlab.domain.errors import DatabaseBusy, DiskFull, StorageError

BUSY_TIMEOUT_S = 30  # for a lock of another process
TURN_TIMEOUT_S = 30  # for the writers of this process that come first
STATEMENT_TIMEOUT_S = 120  # PostgreSQL only; reading all that was measured takes seconds
# PostgreSQL's server may vanish without a word.
CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
MAX_BATCH = 64
BUSY_CODES = (
    *("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"),
    *("55P03", "57014", "40P01"),  # a lock or a statement took too long; a deadlock
    *("53300", "57P01", "57P02", "57P03"),  # too many connections; the server starts or stops
)
BUSY_MESSAGES = ("database is locked", "database table is locked")
FULL_CODES = ("SQLITE_FULL", "53100")
FULL_MESSAGE = "database or disk is full"


def open_engine(url: str) -> Engine:
    """Open a database and migrate it to this version's schema.

    Raises StorageError if it cannot be opened or has the schema of a newer version.
    """
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args=_connect_arguments(url))
    except (ArgumentError, ImportError, ValueError) as error:  # the address may hold a password
        raise StorageError(
            "LATLAB_DATABASE_URL names no database that can be opened "
            f"({type(error).__name__}): write it like postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from error
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    else:
        _limit_waits(engine)
    try:
        migrate(engine)
    except DBAPIError as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise StorageError(f"cannot open the database {shown}: {error.orig}") from error
    return engine


def migrate(engine: Engine) -> None:
    """Migrate the schema to this version. Raises StorageError if it is of a newer version."""
    config = migrations()
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise StorageError(
                f"the database has schema {current}, which is newer than this version of"
                " Latency Lab knows: update Latency Lab, or point LATLAB_HOME elsewhere"
            )
        if current != scripts.get_current_head():
            config.attributes["connection"] = connection
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            command.upgrade(config, "head")


def migrations() -> Config:
    """Return where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _connect_arguments(url: str) -> dict[str, int]:
    """Return those of PostgreSQL's that the address does not give itself; none for SQLite."""
    address = make_url(url)
    if address.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in CONNECT_ARGUMENTS.items() if name not in address.query}


def _limit_waits(engine: Engine) -> None:
    """Limit how long each connection to PostgreSQL waits for a lock or a statement."""
    limits = {"lock_timeout": BUSY_TIMEOUT_S, "statement_timeout": STATEMENT_TIMEOUT_S}

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:  # noqa: ANN401
        with connection.cursor() as cursor:
            for name, limit_s in limits.items():
                cursor.execute(f"SET {name} = {round(limit_s * 1000)}")
        connection.commit()


def _tune_sqlite(engine: Engine) -> None:
    """Set up each connection to SQLite.

    With WAL readers never wait for the writer. With BEGIN IMMEDIATE a writer waits for the lock
    at its start and never loses it half-way. Python's own implicit transactions are switched
    off, as SQLAlchemy's documentation of pysqlite advises.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None
        # A damaged text must not make all rows of its query unreadable.
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        if pages == 0:
            # Space of removed rows can be given back in short steps. In a file that has pages,
            # setting this would wait for the writer.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:  # noqa: ANN401
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refusal(error: OperationalError | TimeoutError) -> StorageError:
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


def _first(error: OperationalError) -> OperationalError:
    """Return the database's first refusal of those that led to `error`.

    On a full disk SQLite undoes the whole transaction. Then it refuses to undo the savepoint.
    """
    first, cause = error, error.__context__
    while cause is not None:
        if isinstance(cause, OperationalError):
            first = cause
        cause = cause.__context__
    return first


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
        """Hand out a connection to read from the database. Raises StorageError."""
        with self.refusals(), self.engine.connect().execution_options(writes=False) as connection:
            yield connection

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Raise StorageError in place of what the database raises when it refuses a statement."""
        try:
            yield
        except (OperationalError, TimeoutError) as error:
            raise _refusal(error) from error

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
                    error = _first(refused)
                finally:
                    batch.writes += 1
                    if error or not self._waiting_writers or batch.writes == MAX_BATCH:
                        self._batch = None
                        batch.end(error)
            batch.committed.result()
        except (OperationalError, TimeoutError) as error:
            raise _refusal(error) from error

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
