"""The check of the faults can fail: each loss and each double is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from host.database import devices
from host.database.engine import Database
from host.home.paths import LabHome
from tests.faults.ledger import NO_SAMPLES, Entry, digest, read_ledger, record
from tests.faults.losses import Losses, losses
from tests.host.fake_lab import DEVICE, SENTINEL, TARGET
from tests.host.stored_lab import visit, write

JOBS = 3


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    """Three jobs, each with one visit of its own samples."""
    home = LabHome(tmp_path / "home")
    home.create()
    database = Database(home.database_url)
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
        for number in range(1, JOBS + 1):
            program = replace(SENTINEL, sha256=f"{number:064}")
            write(connection, program, [visit(number)], None, number)
    database.close()
    return home


@pytest.fixture
def ledger(home: LabHome) -> list[Entry]:
    """What a faithful agent has written down."""
    database = Database(home.database_url)
    with database.reading() as connection:
        rows = connection.execute(text("SELECT run_id FROM visits ORDER BY id")).all()
    database.close()
    return [
        Entry("kept", run_id, digest(visit(number).wall_ns))
        for number, (run_id,) in enumerate(rows, start=1)
    ]


def change(home: LabHome, statement: str) -> None:
    database = Database(home.database_url)
    with database.writing() as connection:
        connection.execute(text(statement))
    database.close()


def test_nothing_is_lost_where_all_is_stored(home: LabHome, ledger: list[Entry]) -> None:
    failed = Entry("kept", "failed", NO_SAMPLES)
    acknowledged = Entry("acknowledged", ledger[0].run_id, NO_SAMPLES)
    assert losses(home, [*ledger, failed, acknowledged], JOBS) == Losses()


def test_what_the_agent_kept_and_nobody_stored_is_lost(home: LabHome, ledger: list[Entry]) -> None:
    unknown = Entry("kept", "unknown", digest([1]))
    assert losses(home, [*ledger, unknown], JOBS) == Losses(visits_lost=1)
    change(home, "UPDATE visits SET wall_ns = NULL, failure_kind = 'device_lost' WHERE id = 1")
    # The agent has kept it, and its measurement lacks it.
    assert losses(home, ledger, JOBS) == Losses(visits_lost=2)


def test_samples_of_another_visit_are_a_loss_and_a_double(
    home: LabHome, ledger: list[Entry]
) -> None:
    change(home, "UPDATE visits SET wall_ns = (SELECT wall_ns FROM visits WHERE id = 2)")
    assert losses(home, ledger, JOBS) == Losses(visits_lost=2, visits_doubled=2)


def test_a_run_that_was_made_again_is_a_double(home: LabHome, ledger: list[Entry]) -> None:
    again = Entry("kept", ledger[0].run_id, digest([5, 6, 7]))
    assert losses(home, [*ledger, again], JOBS) == Losses(visits_doubled=1)


def test_a_visit_too_many_in_a_measurement_is_a_double(home: LabHome, ledger: list[Entry]) -> None:
    change(home, "UPDATE visits SET job_id = (SELECT job_id FROM visits WHERE id = 1)")
    assert losses(home, ledger, JOBS) == Losses(visits_lost=2, visits_doubled=2)


def test_jobs_are_counted_too(home: LabHome, ledger: list[Entry]) -> None:
    assert losses(home, ledger, JOBS + 1) == Losses(jobs_lost=1)
    assert losses(home, ledger, JOBS - 1) == Losses(jobs_doubled=1)
    change(
        home,
        "INSERT INTO failures (job_id, unix_ns, kind, message)"
        " SELECT job_id, 1, 'crashed', '' FROM measurements LIMIT 1",
    )
    assert losses(home, ledger, JOBS) == Losses(jobs_doubled=1)


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path, ledger: list[Entry]) -> None:
    path = tmp_path / "ledger"
    for entry in ledger:
        record(path, entry)
    assert read_ledger(path) == ledger
