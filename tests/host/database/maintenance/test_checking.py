"""What is wrong with a database is named, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from host.database import schema
from host.database.engine import Database
from host.database.maintenance.checking import check
from host.database.maintenance.compaction import compact
from host.database.raw import pack_float64
from host.home.paths import sqlite_url
from latlab.domain.database.maintenance import CompactionPolicy, DatabaseFinding, Progress
from latlab.domain.errors import StorageError
from tests.host.database.maintenance.filled import fill
from tests.host.database.maintenance.test_compaction import STATISTIC
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import Stored


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> list[Stored]:
    stored = fill(database, tmp_path)
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / stored[0].file.path.name).write_bytes(stored[0].file.path.read_bytes())
    return stored


def findings(database: Database, folder: Path) -> list[DatabaseFinding]:
    steps: dict[str, Progress] = {}
    found = []
    for each in check(database, folder / "programs", STATISTIC):
        if isinstance(each, Progress):
            steps[each.step] = each
        else:
            found.append(each)
    assert all(each.done == each.total > 0 for each in steps.values())
    assert {"checking jobs", "checking measurements", "checking programs"} <= steps.keys()
    assert all(each.problem and each.remedy for each in found)
    return found


def test_a_sound_database_has_no_findings(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    assert findings(database, tmp_path) == []
    list(compact(database, CompactionPolicy(2**62), STATISTIC, is_alone=False))
    assert findings(database, tmp_path) == []


def test_each_problem_is_named(database: Database, stored: list[Stored], tmp_path: Path) -> None:
    first, second, third, fourth = (each.id for each in stored)
    with database.writing() as connection:
        connection.execute(
            schema.jobs.insert().values(
                id="ended without an outcome",
                target_id=TARGET.id,
                program_sha256=stored[0].file.program.sha256,
                spec="{}",
                created_unix_ns=1,
                ended_unix_ns=2,
            )
        )
        job_of_first = schema.measurements.c.id == first
        [job_id] = connection.scalars(
            schema.measurements.select()
            .with_only_columns(schema.measurements.c.job_id)
            .where(job_of_first)
        )
        connection.execute(
            schema.failures.insert().values(job_id=job_id, unix_ns=1, kind="CRASHED", message="")
        )
        connection.execute(
            schema.jobs.update().where(schema.jobs.c.id == f"{1:032}").values(ended_unix_ns=None)
        )
        connection.execute(
            schema.summaries.update()
            .where(schema.summaries.c.measurement_id == second)
            .values(p99_ns=1.0)
        )
        connection.execute(
            schema.kernel_timings.update()
            .where(schema.kernel_timings.c.measurement_id == third)
            .values(mean_ns=pack_float64([1.0]))
        )
        connection.execute(
            schema.measurements.update()
            .where(schema.measurements.c.id == fourth)
            .values(learned_target_id=None)
        )
        connection.execute(
            text(
                "UPDATE visits SET load_ns = NULL WHERE job_id ="
                f" (SELECT job_id FROM measurements WHERE id = '{fourth}')"
            )
        )
    found = {(each.kind, each.subject): each.problem for each in findings(database, tmp_path)}
    assert found.keys() == {
        ("wrong end of a job", "job ended without an outcome"),
        ("wrong end of a job", f"job {job_id}"),
        ("wrong end of a job", f"job {1:032}"),
        ("wrong summary", f"measurement {second}"),
        ("wrong kernel times", f"measurement {third}"),
        ("unreadable measurement", f"measurement {fourth}"),
        ("wrong count", f"measurement {fourth}"),
    }
    assert "p99_ns is 1.0" in found["wrong summary", f"measurement {second}"]


def test_files_of_programs_and_the_database_are_compared(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    folder, sha256 = tmp_path / "programs", stored[0].file.program.sha256
    (folder / f"{sha256}.pte").unlink()
    for name, age_s in (("ef" * 32, 7_200), ("cd" * 32, 0)):
        path = folder / f"{name}.pte"
        path.write_bytes(b"x")
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    orphaned, missing = findings(database, tmp_path)
    assert (orphaned.kind, orphaned.subject) == ("orphaned program file", f"{'ef' * 32}.pte")
    assert (missing.kind, missing.subject) == ("missing program file", f"program {sha256}")
    assert "open jobs, the baseline 'main', the sentinel" in missing.problem
    for remedy in ("latlab lab up", "latlab baselines set 'main' NETWORK", "measure the network"):
        assert remedy in missing.remedy


def test_a_summary_that_the_daemon_still_makes_is_no_finding(
    database: Database, stored: list[Stored], tmp_path: Path
) -> None:
    with database.writing() as connection:
        connection.execute(schema.summaries.update().values(version=1, latency_ns=1.0))
    assert findings(database, tmp_path) == []


def test_damage_of_the_file_is_found(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    fill(database, tmp_path)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("DELETE FROM targets")
    found = findings(database, tmp_path)
    assert {each.kind for each in found} >= {"broken reference"}
    assert "restore" in found[0].remedy
    database.close()
    with (tmp_path / "lab.db").open("r+b") as stream:
        stream.seek(4096 * 8)
        stream.write(b"\xff" * 4096 * 4)
    try:
        damaged = Database(sqlite_url(tmp_path / "lab.db"))
        every = list(check(damaged, tmp_path, STATISTIC))
    except StorageError:
        return
    assert "damaged file" in {each.kind for each in every if isinstance(each, DatabaseFinding)}
    damaged.close()
