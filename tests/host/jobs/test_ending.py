"""Jobs that wait in vain, and jobs that somebody cancels: each ends as one Failure."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from host.database import devices, programs
from host.database.engine import Database
from host.database.schema import failures, jobs, visits
from host.home.paths import sqlite_url
from host.jobs.cancelling import choose
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue
from host.jobs.job_state import JobState
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from tests.host.fake_lab import DEVICE, SENTINEL, TARGET, new_events, next_event
from tests.host.measuring.test_statistics import QUIET

OLD_TARGET = replace(TARGET, os_build="before the update")
SPEC = BenchmarkSpec(min_visits=2, max_visits=3, traced_visits=0)
UNTRACED = NextVisit(traced=False)
HOUR_NS = 3_600 * 10**9
CANCELLED = Failure(FailureKind.CANCELLED, "it was cancelled")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        devices.register(connection, DEVICE, "test", 1)
        for target in (TARGET, OLD_TARGET):
            devices.register_target(connection, target)
        for number in range(3):
            programs.add_program(connection, replace(SENTINEL, sha256=f"{number:064}"))
    yield database
    database.close()


def submit(board: Dispatcher, number: int, target_id: str = OLD_TARGET.id) -> EventQueue:
    events = new_events()
    board.submit(target_id, f"{number:064}", SPEC, events)
    return events


def make_older(database: Database, age_ns: int) -> None:
    """All jobs and visits, as if they had been asked for so long before."""
    with database.writing() as connection:
        created = jobs.c.created_unix_ns - age_ns
        connection.execute(jobs.update().values(created_unix_ns=created))
        connection.execute(visits.update().values(asked_unix_ns=visits.c.asked_unix_ns - age_ns))


def ended(database: Database) -> list[tuple[str, str]]:
    with database.reading() as connection:
        rows = connection.execute(select(failures.c.kind, failures.c.message)).all()
    return [(row.kind, row.message) for row in rows]


def test_a_job_that_nothing_serves_ends_and_its_client_is_told(database: Database) -> None:
    board = Dispatcher(database)
    board.routes.enter(DEVICE.serial, "", [TARGET.id], "route", lambda: None)
    events = submit(board, 0)
    board.end_overdue(HOUR_NS)
    assert board.count_open([OLD_TARGET.id]) == 1
    board.end_overdue(0)
    outcome = next_event(events)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DEVICE_LOST
    assert "nothing was measured on its target for 0 h" in outcome.message
    assert board.count_open([OLD_TARGET.id]) == 0


def test_the_age_of_a_job_counts_over_restarts(database: Database) -> None:
    submit(Dispatcher(database), 0)
    make_older(database, 2 * HOUR_NS)
    after = Dispatcher(database)
    after.end_overdue(3 * HOUR_NS)
    assert ended(database) == []
    after.end_overdue(HOUR_NS)
    assert [kind for kind, _ in ended(database)] == ["device_lost"]
    assert Dispatcher(database).count_open([OLD_TARGET.id]) == 0


def test_old_jobs_of_a_target_that_is_measured_go_on(database: Database) -> None:
    """Whether this daemon has asked for the visit, the one before, or another lab."""
    before = Dispatcher(database)
    for number in range(2):
        submit(before, number)
    make_older(database, 2 * HOUR_NS)
    board, other_lab = Dispatcher(database), Dispatcher(database)
    state = board.take(DEVICE.serial, [OLD_TARGET.id], 0)
    assert state is not None
    board.ask(state, UNTRACED, DEVICE.serial)
    for lab in (board, other_lab, Dispatcher(database)):
        lab.end_overdue(HOUR_NS)
        assert lab.count_open([OLD_TARGET.id]) == 2
    make_older(database, 2 * HOUR_NS)
    Dispatcher(database).end_overdue(HOUR_NS)
    assert len(ended(database)) == 2


def test_a_job_of_the_future_does_not_end(database: Database) -> None:
    """The clock was wrong when it was opened, or is now."""
    submit(Dispatcher(database), 0)
    make_older(database, -1_000 * HOUR_NS)
    board = Dispatcher(database)
    board.end_overdue(HOUR_NS)
    assert board.count_open([OLD_TARGET.id]) == 1


def test_a_visit_under_way_outlives_its_cancelled_job(database: Database) -> None:
    board = Dispatcher(database)
    board.routes.enter(DEVICE.serial, "", [TARGET.id], "route", lambda: None)
    events = submit(board, 0, TARGET.id)
    state = board.take(DEVICE.serial, [TARGET.id], 0)
    assert state is not None
    run_id = board.ask(state, UNTRACED, DEVICE.serial)
    board.end(state, CANCELLED)
    assert next_event(events) == CANCELLED
    board.answer(state, run_id, replace(QUIET, run_id=run_id))
    board.put_back(state)
    assert board.take(DEVICE.serial, [TARGET.id], 0) is None
    assert board.count_open([TARGET.id]) == 0
    with pytest.raises(queue.Empty):
        events.get(timeout=0)
    assert ended(database) == [("cancelled", CANCELLED.message)]
    with database.reading() as connection:
        [stored] = connection.execute(select(visits)).all()
    assert stored.wall_ns is not None
    again = submit(board, 0, TARGET.id)  # it is another job
    with pytest.raises(queue.Empty):
        again.get(timeout=0)
    assert board.count_open([TARGET.id]) == 1


def state(id_: str, target_id: str, program: str) -> JobState:
    job = Job(id_, target_id, program, SPEC, time.time_ns())
    return JobState(job, SENTINEL)


FIRST, SECOND = state("aaaaaa11", "t1", "0" * 64), state("aaaaaa22", "t1", "f" * 64)
THIRD = state("bbbbbb33", "t2", "f" * 64)
STATES = [FIRST, SECOND, THIRD]


def test_jobs_are_chosen_by_every_condition() -> None:
    assert choose(STATES, ["bbbbbb", "aaaaaa11"]) == [FIRST, THIRD]
    assert choose(STATES, target_ids={"t1"}) == [FIRST, SECOND]
    assert choose(STATES, program="ffffff") == [SECOND, THIRD]
    assert choose(STATES, target_ids={"t2"}, program="ffffff") == [THIRD]
    assert choose(STATES, ["aaaaaa11"], {"t2"}) == []


@pytest.mark.parametrize(
    ("ids", "program", "error", "said"),
    [
        ([], "../../x", InvalidRequest, "'../../x' is not the SHA-256 of a program"),
        ([], "FFFFFF", InvalidRequest, "is not the SHA-256 of a program"),
        (["m/all/1t"], "", InvalidRequest, "'m/all/1t' is not the id of a job"),
        (["aaaaaa"], "", InvalidRequest, "several jobs begin with 'aaaaaa'"),
        (["cccccc"], "", NotFound, "no open job 'cccccc'"),
        (["a"], "", InvalidRequest, "'a' is not the id of a job"),
        ([], "ff", InvalidRequest, "'ff' is not the SHA-256 of a program"),
    ],
)
def test_jobs_that_are_named_badly_are_refused(
    ids: list[str], program: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        choose(STATES, ids, program=program)
