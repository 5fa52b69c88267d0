"""Put a backup in the place of the database, while no daemon runs."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from host.database import schema
from host.database.connections.opening import migrate
from host.database.engine import Database
from host.database.maintenance import copying
from host.database.maintenance.backup import plain_engine
from host.database.maintenance.sqlite_files import (
    HEADER,
    OnProgress,
    copy_file,
    opened,
    problems,
    size_bytes,
)
from latlab.common.files import replacing, require_space, storing
from latlab.domain.errors import InvalidRequest, StorageError

MAX_PROBLEMS = 3  # that an error names
# SQLite keeps these beside a database. They belong to it, and to no other.
COMPANIONS = ("-wal", "-shm")


def check_backup(file: Path) -> None:
    """Raise an error unless the file is a whole database of a lab.

    Raises:
        InvalidRequest: It is no file of SQLite, or not of a lab.
        StorageError: It cannot be read, or it is damaged.
    """
    with storing(file), file.open("rb") as stream:
        header = stream.read(len(HEADER))
    if header != HEADER:
        raise InvalidRequest(f"{file} is no backup: it is not a database of SQLite")
    if found := problems(file, MAX_PROBLEMS):
        raise StorageError(
            f"{file} is damaged, so nothing was restored: {'; '.join(found)}; use another backup"
        )
    with opened(file) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not {"alembic_version", "measurements", "jobs"} <= names:
        raise InvalidRequest(f"{file} is no backup of a lab: it has other tables")


def restore(file: Path, url: str, on_progress: OnProgress) -> Path | None:
    """Put a backup in the place of a lab's database.

    The backup is migrated to this version's schema, and gets an id of its own and no leases. An
    agent remembers, for each database by its id, the highest lease token that it has seen, and
    refuses lower ones. The tokens in a backup are older than those given out since, so under the
    old id agents would refuse the lab for ever. Under a new id they serve it: at once if its folder
    is the same as before, else once the last lease by the old id has expired.

    Args:
        file: The backup.
        url: The address of the lab's database. One of PostgreSQL must be empty.
        on_progress: Is called with what is copied, and the total.

    Returns:
        Where the database before it is kept; None if there was none.

    Raises:
        InvalidRequest: The file is no backup, or the database of PostgreSQL is not empty.
        StorageError: The backup is damaged or of a newer version, or a file cannot be written.
    """
    check_backup(file)
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        _restore_rows(file, url, on_progress)
        return None
    place = Path(address.database or "")
    if place.exists() and place.samefile(file):
        raise InvalidRequest(f"{file} is the lab's database itself: name a backup of it")
    require_space(place.parent, size_bytes(file))
    with replacing(place, mode=0o600) as draft:
        with _copied(file, draft, on_progress) as connection:
            _make_another_lab(connection)
        return _keep(place)


def _restore_rows(file: Path, url: str, on_progress: OnProgress) -> None:
    database = Database(url)
    try:
        with tempfile.TemporaryDirectory(prefix="latlab-restore-") as folder:
            require_space(Path(folder), size_bytes(file))
            draft = Path(folder) / "backup.db"
            with (
                _copied(file, draft, lambda done, total: None) as source,
                database.refusals(),
                database.engine.begin() as target,
            ):
                if not copying.is_empty(target):
                    raise InvalidRequest(
                        "the database of LATLAB_DATABASE_URL is not empty: make a new one, and"
                        " name that"
                    )
                target.exec_driver_sql("SET LOCAL statement_timeout = 0")
                copying.copy_rows(source, target, on_progress)
                _make_another_lab(target)
    finally:
        database.close()


@contextlib.contextmanager
def _copied(file: Path, draft: Path, on_progress: OnProgress) -> Iterator[Connection]:
    """Copy a backup, migrate the copy, and yield a transaction of it."""
    copy_file(file, draft, on_progress)
    engine = plain_engine(draft)
    try:
        with engine.connect() as connection:
            if MigrationContext.configure(connection).get_current_revision() is None:
                raise InvalidRequest(f"{file} is no backup of a lab: it does not say its version")
        migrate(engine)
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _make_another_lab(connection: Connection) -> None:
    """Give the database an id of its own and no leases, as `restore` explains."""
    connection.execute(schema.leases.delete())
    connection.execute(schema.database_id.update().values(id=uuid.uuid4().hex))


def _keep(place: Path) -> Path | None:
    """Keep the present database under another name as well, and return that name.

    Afterwards its file may be replaced.
    """
    if not place.exists():
        _remove_companions(place)
        return None
    kept = _free_name(place)
    with storing(kept):
        # Its log holds what was written last, if the daemon was killed. It is not written back
        # here: where the database is damaged, SQLite would delete the log.
        for suffix in ("", "-wal"):
            if Path(f"{place}{suffix}").exists():
                os.link(f"{place}{suffix}", f"{kept}{suffix}")
    _remove_companions(place)
    return kept


def _free_name(place: Path) -> Path:
    """Return a name beside the database that no file has."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name, number = f"{place.name}.before-restore-{stamp}", 1
    kept = place.with_name(name)
    while any(Path(f"{kept}{suffix}").exists() for suffix in ("", *COMPANIONS)):
        number += 1
        kept = place.with_name(f"{name}-{number}")
    return kept


def _remove_companions(place: Path) -> None:
    """Remove the log of the database before, which SQLite would apply to its successor."""
    for suffix in COMPANIONS:
        companion = Path(f"{place}{suffix}")
        with storing(companion):
            companion.unlink(missing_ok=True)
