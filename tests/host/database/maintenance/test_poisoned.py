"""Databases with damaged and impossible rows: they are named, kept, and stop nothing."""

from __future__ import annotations

import random
from pathlib import Path

from host.cli.database.exported_files import write_rows
from host.database.engine import Database
from host.database.maintenance.backup import back_up
from host.database.maintenance.checking import check
from host.database.maintenance.compaction import compact
from host.database.maintenance.exporting import COLUMNS, export
from host.database.measurements import look_up
from host.home.paths import sqlite_url
from host.predicting.summaries import Summarizer
from latlab.domain.database.maintenance import CompactionPolicy, DatabaseFinding, ExportedRows
from latlab.domain.measurement import Unusable
from tests.host.database.maintenance.filled import contents
from tests.host.database.maintenance.test_compaction import STATISTIC
from tests.host.poisons import POISONS, poison
from tests.host.stored_lab import write_ordinary


def test_poisoned_rows_are_named_and_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database(sqlite_url(path))
    ordinary = write_ordinary(database, tmp_path, 3)
    Summarizer(database).complete()
    odd = {}
    for chosen in POISONS:
        id_ = poison(path, tmp_path, ordinary[0], chosen, random.Random(chosen.name))
        odd[id_] = chosen
    damaged_visits = {
        id_
        for id_, each in odd.items()
        if each.damage and each.damage[0] == "visits" and each.unusable
    }

    found = [f for f in check(database, tmp_path, STATISTIC) if isinstance(f, DatabaseFinding)]
    named = {f.subject.removeprefix("measurement ") for f in found}
    assert {each.id for each in ordinary} & named == set()
    missed = {odd[id_].name for id_ in damaged_visits - named}
    assert missed <= {"visits.failure_kind unknown"}, missed

    Summarizer(database).complete()
    before = contents(database)
    list(compact(database, CompactionPolicy(2**62), STATISTIC, is_alone=False))
    rows = {row["id"]: row for row in contents(database)["measurements"]}
    assert all(rows[each.id]["samples_removed_unix_ns"] for each in ordinary)
    kept = {row["id"] for row in rows.values() if row["samples_removed_unix_ns"] is None}
    assert damaged_visits <= kept
    with database.reading() as connection:
        found_again = look_up(connection, list(odd))
    assert {id_ for id_, each in found_again.items() if isinstance(each, Unusable)} <= kept
    jobs = {row["job_id"] for row in rows.values() if row["id"] in kept}
    assert [row for row in before["visits"] if row["job_id"] in jobs] == [
        row for row in contents(database)["visits"] if row["job_id"] in jobs
    ]

    for kind in ExportedRows:
        written = write_rows(tmp_path / f"{kind.value}.csv", export(database, kind))
        assert written >= (0 if kind is ExportedRows.SAMPLES else len(ordinary))
        for batch in export(database, kind):
            assert all(len(row) == len(COLUMNS[kind]) for row in batch.rows)
    list(back_up(database, tmp_path / "backup.db"))
    copied = Database(sqlite_url(tmp_path / "backup.db"))
    assert contents(copied) == contents(database)
    copied.close()
    database.close()
