"""Backups of SQLite and PostgreSQL alike, and their way back into either."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import func, select, text

from device_agent.lease import LeaseGuard
from host.database import devices, jobs, schema
from host.database.connections import opening
from host.database.engine import Database
from host.database.maintenance import backup, sqlite_files
from host.database.maintenance.backup import back_up
from host.database.maintenance.restore import restore
from host.home.paths import sqlite_url
from latlab.domain.errors import DiskFull, InvalidRequest, LeaseLost, StorageError
from latlab.v1 import device_agent_pb2
from tests.host.database.maintenance.filled import contents, fill, without_identity
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.postgresql import empty


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url)
    fill(database, tmp_path)
    yield database
    database.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Database]:
    """One of SQLite."""
    database = Database(sqlite_url(tmp_path / "lab.db"))
    fill(database, tmp_path)
    yield database
    database.close()


def backed_up(database: Database, file: Path) -> Path:
    last = list(back_up(database, file))[-1]
    assert last.done == last.total > 0
    return file


def restored(file: Path, url: str) -> Database:
    restore(file, url, lambda done, total: None)
    return Database(url)


def test_a_backup_is_one_private_file_with_every_row(database: Database, tmp_path: Path) -> None:
    file = backed_up(database, tmp_path / "backup.db")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("backup*")] == ["backup.db"]
    copied = shutil.copy(file, tmp_path / "alone.db")
    found = Database(sqlite_url(Path(copied)))
    assert contents(found) == contents(database)
    found.close()


def test_a_backup_is_restored_into_sqlite(database: Database, tmp_path: Path) -> None:
    before = contents(database)
    found = restored(
        backed_up(database, tmp_path / "backup.db"), sqlite_url(tmp_path / "restored.db")
    )
    after = contents(found)
    assert without_identity(after) == without_identity(before)
    assert after["leases"] == []
    assert after["database_id"] != before["database_id"]
    found.close()


def test_a_backup_is_restored_into_an_empty_postgresql(
    lab: Database, tmp_path: Path, postgresql_url: str
) -> None:
    empty(postgresql_url)
    file, before = backed_up(lab, tmp_path / "backup.db"), contents(lab)
    found = restored(file, postgresql_url)
    assert without_identity(contents(found)) == without_identity(before)
    assert contents(found)["leases"] == []
    with found.writing() as connection:  # its sequences go on after the copied ids
        jobs.ask_visit(connection, "new run", f"{0:032}", DEVICE.serial, False, 200)
    with found.reading() as connection:
        assert connection.scalar(select(func.max(schema.visits.c.id))) == 1 + max(
            row["id"] for row in before["visits"]
        )
    found.close()
    with pytest.raises(InvalidRequest, match="not empty"):
        restore(file, postgresql_url, lambda done, total: None)


def test_writers_do_not_wait_and_are_not_in_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_files, "PAGES_A_STEP", 5)
    before, steps = contents(database), 0
    file = tmp_path / "backup.db"
    for _ in back_up(database, file):
        steps += 1
        with database.writing() as connection:
            connection.execute(schema.devices.update().values(note=f"step {steps}"))
    assert steps > 3
    found = Database(sqlite_url(file))
    assert contents(found) == before
    found.close()


def test_a_backup_that_nobody_waits_for_leaves_no_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_files, "PAGES_A_STEP", 1)
    copying = back_up(database, tmp_path / "folder" / "backup.db")
    (tmp_path / "folder").mkdir()
    next(copying)
    copying.close()  # type: ignore[attr-defined]
    assert list((tmp_path / "folder").iterdir()) == []


def test_no_file_is_overwritten_and_the_space_is_checked_first(
    lab: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for taken in (tmp_path / "lab.db", tmp_path / "a link"):
        if taken.name == "a link":
            taken.symlink_to(tmp_path / "nowhere")
        with pytest.raises(InvalidRequest, match="exists already"):
            next(back_up(lab, taken))
    monkeypatch.setattr(backup, "needed_bytes", lambda database: 1 << 60)
    with pytest.raises(DiskFull, match="free"):
        next(back_up(lab, tmp_path / "backup.db"))
    with pytest.raises(StorageError):
        next(back_up(lab, tmp_path / "nowhere" / "backup.db"))


def test_the_database_before_a_restore_is_kept(lab: Database, tmp_path: Path) -> None:
    file = backed_up(lab, tmp_path / "backup.db")
    with lab.writing() as connection:
        connection.execute(schema.devices.update().values(note="later"))
    newer = contents(lab)
    # As a daemon that was killed leaves them: the log holds what the file does not.
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(tmp_path / f"lab.db{suffix}", tmp_path / f"killed.db{suffix}")
    url = sqlite_url(tmp_path / "killed.db")
    kept = [restore(file, url, lambda done, total: None) for _ in range(2)]
    assert None not in kept
    assert len(set(kept)) == 2
    found = Database(sqlite_url(kept[0] or Path()))
    assert contents(found) == newer
    found.close()
    found = Database(url)
    assert [row["note"] for row in contents(found)["devices"]] == [""]
    found.close()


def test_the_log_of_a_damaged_database_is_kept_with_it(lab: Database, tmp_path: Path) -> None:
    file = backed_up(lab, tmp_path / "backup.db")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 1_000)
    Path(f"{damaged}-wal").write_bytes(b"its log")
    kept = restore(file, sqlite_url(damaged), lambda done, total: None)
    assert kept is not None
    assert kept.read_bytes().startswith(b"no database")
    assert Path(f"{kept}-wal").read_bytes() == b"its log"
    found = Database(sqlite_url(damaged))
    assert without_identity(contents(found)) == without_identity(contents(lab))
    found.close()


def test_an_older_schema_is_migrated(tmp_path: Path) -> None:
    config = opening.migrations()
    old = backup.plain_engine(tmp_path / "old.db")
    with old.begin() as connection:  # as version 0.1.0 left it
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        devices.register_target(connection, TARGET)
    old.dispose()
    found = restored(tmp_path / "old.db", sqlite_url(tmp_path / "lab.db"))
    with found.reading() as connection:
        assert devices.all_targets(connection) == [TARGET]
    found.close()


@pytest.mark.parametrize("broken", ["text", "cut", "foreign", "newer", "unversioned", "missing"])
def test_what_is_no_backup_is_refused_and_nothing_changes(
    lab: Database, tmp_path: Path, broken: str
) -> None:
    file = backed_up(lab, tmp_path / "backup.db")
    match broken:
        case "text":
            file.write_text("no database")
        case "cut":
            with file.open("r+b") as stream:
                stream.truncate(file.stat().st_size // 2)
        case "foreign":
            file.unlink()
            with sqlite3.connect(file) as connection:
                connection.execute("CREATE TABLE songs (id INTEGER)")
            connection.close()
        case "missing":
            file.unlink()
        case _:
            change = (
                "UPDATE alembic_version SET version_num = '9999'"
                if broken == "newer"
                else "DELETE FROM alembic_version"
            )
            with sqlite3.connect(file) as connection:
                connection.execute(change)
            connection.close()
    before = contents(lab)
    with pytest.raises((InvalidRequest, StorageError)) as refused:
        restore(file, sqlite_url(tmp_path / "lab.db"), lambda done, total: None)
    assert str(tmp_path) in str(refused.value) or broken == "newer"
    assert contents(lab) == before
    assert list(tmp_path.glob("*before-restore*")) == []
    assert list(tmp_path.glob("*.part*")) == []


def test_a_database_is_not_restored_from_itself(lab: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="itself"):
        restore(tmp_path / "lab.db", sqlite_url(tmp_path / "lab.db"), lambda done, total: None)


def test_an_agent_serves_the_restored_lab(lab: Database, tmp_path: Path) -> None:
    """It has seen higher tokens of the lab before."""
    file = backed_up(lab, tmp_path / "backup.db")
    with lab.writing() as connection:
        connection.execute(text("UPDATE leases SET token = 7, expires_ns = 0"))
    guard = LeaseGuard(tmp_path)
    guard.take(_request(lab.id, 7))
    found = restored(file, sqlite_url(tmp_path / "restored.db"))
    with found.writing() as connection:
        token = devices.acquire_lease(connection, DEVICE.serial, "holder", 10**9)
    assert token is not None
    with pytest.raises(LeaseLost, match="lower"):
        guard.take(_request(lab.id, token))
    assert guard.take(_request(found.id, token))  # at once, for it has the same holder
    found.close()


def _request(database_id: str, token: int) -> device_agent_pb2.RunRequest:
    return device_agent_pb2.RunRequest(
        lease_database=database_id, lease_holder="holder", lease_token=token
    )
