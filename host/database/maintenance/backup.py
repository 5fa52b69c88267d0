"""Back the whole database up into one file of SQLite, while others use it.

The programs' files are not in a backup: they are gigabytes, and whoever measures a program has its
file. Everything that was measured stays of use without them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL

from host.database.connections.opening import migrate
from host.database.engine import Database
from host.database.maintenance.copying import copy_rows
from host.database.maintenance.sqlite_files import copy_file, size_bytes
from latlab.common.files import replacing, require_space
from latlab.domain.database.maintenance import Progress
from latlab.domain.errors import InvalidRequest

OnProgress = Callable[[int, int], None]


def back_up(database: Database, file: Path) -> Iterator[Progress]:
    """Write the database, as it is at one instant, to a new file of mode 0600.

    The file is whole, or it is not there. Writers of the database do not wait.

    Yields:
        How far the copy is. If nobody asks for more, the copy is given up.

    Raises:
        InvalidRequest: The file exists.
        DiskFull: The file's disk has no room for it.
        StorageError: The database cannot be read, or the file cannot be written.
    """
    check_new(file)
    require_space(file.parent, needed_bytes(database))
    with replacing(file, mode=0o600) as draft:
        if database.engine.dialect.name == "sqlite":
            source = Path(database.engine.url.database or "")
            yield from _followed("copying pages", lambda said: copy_file(source, draft, said))
        else:
            yield from _followed("copying rows", lambda said: _copy_rows(database, draft, said))


def check_new(file: Path) -> None:
    """Raise InvalidRequest if there is a file of that name already."""
    if file.exists() or file.is_symlink():
        raise InvalidRequest(f"{file} exists already: name a file that does not")


def needed_bytes(database: Database) -> int:
    """Return how large a backup is, about. Raises StorageError."""
    if database.engine.dialect.name == "sqlite":
        return size_bytes(Path(database.engine.url.database or ""))
    with database.reading() as connection:
        query = text("SELECT pg_database_size(current_database())")
        return int(connection.execute(query).scalar_one())


def plain_engine(path: Path) -> Engine:
    """Return an engine of a file of SQLite that nobody else uses, and that may be lost."""
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:  # noqa: ANN401
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file, as the lab's own

    return engine


def _copy_rows(database: Database, draft: Path, on_progress: OnProgress) -> None:
    engine = plain_engine(draft)
    try:
        migrate(engine)
        reading = database.engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with database.refusals(), reading as source, engine.begin() as target:
            copy_rows(source, target, on_progress)
    finally:
        engine.dispose()


class _GivenUp(Exception):
    """Nobody waits for the copy any more."""


def _followed(step: str, copy: Callable[[OnProgress], None]) -> Iterator[Progress]:
    """Run a copy in a thread, and yield how far it is. Raises what it raises."""
    said: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
    is_given_up = threading.Event()
    raised: list[BaseException] = []

    def say(done: int, total: int) -> None:
        if is_given_up.is_set():
            raise _GivenUp
        said.put(Progress(step, done, total))

    def run() -> None:
        try:
            copy(say)
        except BaseException as error:  # for the one who follows it
            raised.append(error)
        finally:
            said.put(None)

    thread = threading.Thread(target=run, name="backup", daemon=True)
    thread.start()
    try:
        while (progress := said.get()) is not None:
            yield progress
    finally:
        is_given_up.set()
        thread.join()
    if raised:
        raise raised[0]
