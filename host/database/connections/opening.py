"""Open SQLite or PostgreSQL at the schema of this version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from latlab.domain.errors import StorageError

# Of each connection to SQLite. Pages come from the system's cache of the file, which all share: two
# megabytes for each connection, SQLite's default, make no lookup or fit quicker.
CACHE_KIB = 200
BUSY_TIMEOUT_S = 30  # for a lock of another process
STATEMENT_TIMEOUT_S = 120  # PostgreSQL only; reading all that was measured takes seconds
# PostgreSQL's server may vanish without a word.
CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


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
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
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
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:  # noqa: ANN401
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
