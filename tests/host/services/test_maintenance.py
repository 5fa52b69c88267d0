"""The database of a lab that runs, as its client looks after it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from host.database.engine import Database
from host.database.maintenance.maintenance import Maintenance
from host.home.paths import sqlite_url
from host.predicting.summaries import STATISTIC
from host.services import maintenance as servicer
from latlab.client.client import LatencyClient
from latlab.client.database.maintenance import DatabaseClient
from latlab.domain.database.maintenance import (
    Compaction,
    CompactionPolicy,
    DatabaseFinding,
    ExportedRows,
)
from latlab.domain.errors import InvalidRequest
from latlab.v1 import maintenance_pb2
from tests.host.database.maintenance.filled import contents, fill
from tests.host.stored_lab import Stored, stored_lab


@dataclass
class Lab:
    client: LatencyClient
    database: Database
    stored: list[Stored]
    folder: Path

    @property
    def alone(self) -> Maintenance:
        return Maintenance(self.database, self.folder / "programs", STATISTIC, is_alone=True)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = fill(database, tmp_path)
    with database.writing() as connection:  # nothing is measured meanwhile
        connection.exec_driver_sql("DELETE FROM sentinels")
        connection.exec_driver_sql("DELETE FROM leases")
        connection.exec_driver_sql("UPDATE jobs SET ended_unix_ns = 1 WHERE ended_unix_ns IS NULL")
        connection.exec_driver_sql(
            "INSERT INTO failures (job_id, unix_ns, kind, message)"
            " SELECT id, 1, 'CANCELLED', '' FROM jobs WHERE created_unix_ns = 100"
        )
    with stored_lab(database, tmp_path) as (client, _):
        yield Lab(client, database, stored, tmp_path)
    database.close()


def test_a_backup_comes_whole_and_leaves_nothing_in_the_lab(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "CHUNK_BYTES", 10_000)
    file = tmp_path / "backup.db"
    *_, last = lab.client.database.back_up(file)
    assert last.step == "receiving bytes"
    assert last.done == last.total == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = Database(sqlite_url(file))
    assert contents(found)["measurements"] == contents(lab.database)["measurements"]
    assert contents(found)["visits"] == contents(lab.database)["visits"]
    found.close()
    assert list((tmp_path / "programs").glob("*.part*")) == []


def test_a_backup_that_breaks_off_is_not_there(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "CHUNK_BYTES", 10_000)
    receiving = lab.client.database.back_up(tmp_path / "backup.db")
    while next(receiving).step != "receiving bytes":
        pass
    receiving.close()  # type: ignore[attr-defined]
    assert list(tmp_path.glob("backup.db*")) == []
    with pytest.raises(InvalidRequest, match="exists already"):
        next(lab.client.database.back_up(tmp_path / "lab.db"))


def test_findings_come_as_they_are_on_the_file(lab: Lab) -> None:
    with lab.database.writing() as connection:
        connection.exec_driver_sql("UPDATE summaries SET p99_ns = 1")

    def found(each: Maintenance | DatabaseClient) -> list[DatabaseFinding]:
        return [f for f in each.check() if isinstance(f, DatabaseFinding)]

    assert found(lab.client.database) == found(lab.alone)
    assert len(found(lab.client.database)) == len(lab.stored) + 1  # the baseline has no file


def test_samples_are_removed_and_the_lab_answers_as_before(lab: Lab) -> None:
    ids = [each.id for each in lab.stored]
    before = [each.latency_ns for each in lab.client.look_up(ids)]
    listed = list(lab.client.stored.list())
    [done] = [
        each
        for each in lab.client.database.compact(CompactionPolicy(2**62))
        if isinstance(each, Compaction)
    ]
    assert done.measurements == len(ids)
    assert done.removed_bytes > 0
    assert [each.latency_ns for each in lab.client.look_up(ids)] == before
    assert list(lab.client.stored.list()) == listed
    whole = lab.client.measurement(ids[0])
    assert whole.samples_removed_unix_ns is not None
    assert whole.traces_removed_unix_ns is not None
    assert len(whole.visits) == 4


@pytest.mark.parametrize("rows", ExportedRows)
def test_rows_come_as_they_are_in_the_file(lab: Lab, rows: ExportedRows) -> None:
    def exported(each: Maintenance | DatabaseClient) -> tuple[object, list[object]]:
        batches = list(each.export(rows))
        assert len({batch.columns for batch in batches}) == 1
        return batches[0].columns, [row for batch in batches for row in batch.rows]

    assert exported(lab.client.database) == exported(lab.alone)
    assert exported(lab.alone)[1]


def test_requests_without_a_sense_are_refused(lab: Lab) -> None:
    stub, calls = lab.client.database._stub, lab.client._calls
    for method, request in (
        (stub.Compact, maintenance_pb2.CompactRequest()),
        (stub.Compact, maintenance_pb2.CompactRequest(before_unix_ns=-1)),
        (stub.Export, maintenance_pb2.ExportRequest()),
        (stub.Export, maintenance_pb2.ExportRequest(rows=99)),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidRequest, match="say"):
            next(calls.stream(method, request, timeout_s=30))
