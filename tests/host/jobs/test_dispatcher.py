"""The board over a real database: who is offered what, and what a restart finds."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from host.database import devices, measurements, programs
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue, Progress
from host.jobs.queue import rank
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, SENTINEL, TARGET, new_events, next_event
from tests.host.measuring.test_statistics import QUIET

SPEC = BenchmarkSpec(min_visits=2, max_visits=3, tolerance=0.05, traced_visits=0)
UNTRACED = NextVisit(traced=False)
WAIT_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        for serial in ("a", "b"):
            devices.register(connection, replace(DEVICE, serial=serial), "test", 1)
        devices.register_target(connection, TARGET)
        for number in range(3):
            programs.add_program(connection, replace(SENTINEL, sha256=f"{number:064}"))
    yield database
    database.close()


def submit(board: Dispatcher, number: int) -> EventQueue:
    events = new_events()
    board.submit(TARGET.id, f"{number:064}", SPEC, events)
    return events


def come(board: Dispatcher, serial: str, route: str = "") -> None:
    board.routes.enter(serial, "", [TARGET.id], route or serial, lambda: None)


def go(board: Dispatcher, serial: str, why: Failure, route: str = "") -> None:
    board.routes.exit(serial, route or serial)
    board.leave(serial, why)


def test_devices_of_one_target_share_its_jobs(database: Database) -> None:
    board = Dispatcher(database)
    ends = [submit(board, 0), submit(board, 1)]
    first = board.take("a", [TARGET.id], 0)
    second = board.take("b", [TARGET.id], 0)
    assert first is not None
    assert second is not None
    assert first is not second
    assert board.take("c", [TARGET.id], 0) is None
    for state, serial, events in ((first, "a", ends[0]), (second, "b", ends[1])):
        for number in range(2):
            run_id = board.ask(state, UNTRACED, serial)
            board.put_back(state)
            assert board.take(serial, [TARGET.id], 0) is state
            board.answer(state, run_id, replace(QUIET, run_id=f"{serial}{number}"))
            progress = next_event(events)
            assert isinstance(progress, Progress)
            assert len(progress.visits) == number + 1
        board.complete(state, None)
        assert isinstance(next_event(events), Measurement)
    assert board.count_open([TARGET.id]) == 0
    assert board.take("a", [TARGET.id], 0) is None


def test_a_device_that_waits_is_woken_by_a_job_of_its_own(database: Database) -> None:
    board = Dispatcher(database)
    offered: queue.SimpleQueue[object] = queue.SimpleQueue()
    waiting = threading.Thread(target=lambda: offered.put(board.take("a", [TARGET.id], WAIT_S)))
    waiting.start()
    wait_until(lambda: bool(board._idle))
    submit(board, 0)
    assert offered.get(timeout=WAIT_S) is not None
    waiting.join(timeout=WAIT_S)


def test_a_lost_devices_job_goes_to_another_and_ends_where_there_is_none(
    database: Database,
) -> None:
    board = Dispatcher(database)
    lost = Failure(FailureKind.DEVICE_LOST, "unplugged")
    events = submit(board, 0)
    for serial in ("a", "b"):
        come(board, serial)
    state = board.take("a", [TARGET.id], 0)
    assert state is not None
    board.ask(state, UNTRACED, "a")
    board.put_back(state)
    assert board.take("b", [TARGET.id], 0) is None
    go(board, "a", lost)
    assert board.take("b", [TARGET.id], 0) is state
    assert (state.failures, state.asked) == ([lost], None)
    board.put_back(state)
    go(board, "b", lost)
    assert next_event(events) == lost
    assert board.count_open([TARGET.id]) == 0


def test_a_job_that_comes_while_the_device_is_away_does_not_wait_for_ever(
    database: Database,
) -> None:
    board = Dispatcher(database)
    lost = Failure(FailureKind.DEVICE_LOST, "unplugged")
    come(board, "a")
    go(board, "a", lost)
    events = submit(board, 0)
    board.leave("a", lost)  # as its worker says after each look for it
    assert next_event(events) == lost
    assert board.count_open([TARGET.id]) == 0


def test_a_restart_finds_every_job_as_it_was(database: Database) -> None:
    before = Dispatcher(database)
    for number in range(3):
        submit(before, number)
    asked, tried = (before.take(serial, [TARGET.id], 0) for serial in "ab")
    assert asked is not None
    assert tried is not None
    visit = replace(QUIET, run_id=before.ask(asked, UNTRACED, "a"))
    before.answer(asked, visit.run_id, visit)
    run_id = before.ask(asked, UNTRACED, "a")
    crash = Failure(FailureKind.CRASHED, "once")
    before.answer(tried, before.ask(tried, UNTRACED, "b"), crash)

    board = Dispatcher(database)
    found = {state.job.id: state for state in board.open_states([TARGET.id])}
    assert len(found) == 3
    assert found[asked.job.id].visits == [visit]
    assert found[tried.job.id].failures == [crash]
    again = board.take("a", [TARGET.id], 0)
    assert again is found[asked.job.id]
    assert again.asked == (run_id, UNTRACED)
    joined = submit(board, int(asked.job.program_sha256))
    board.answer(again, run_id, replace(visit, run_id=run_id))
    board.complete(again, None)
    outcome = next_event(joined)
    assert isinstance(outcome, Measurement)
    assert len(outcome.visits) == 2


def test_what_an_absent_device_was_asked_before_a_restart_goes_to_another(
    database: Database,
) -> None:
    before = Dispatcher(database)
    submit(before, 0)
    submit(before, 1)
    for serial in ("a", "b"):
        state = before.take(serial, [TARGET.id], 0)
        assert state is not None
        before.ask(state, UNTRACED, serial)

    board = Dispatcher(database)
    come(board, "b")
    board.give_up_absent()
    mine = board.take("b", [TARGET.id], 0)
    assert mine is not None
    assert mine.asked is not None  # its own run is still to be fetched
    others = board.take("b", [TARGET.id], 0)
    assert others is not None
    assert others.asked is None
    assert [failure.kind for failure in others.failures] == [FailureKind.DEVICE_LOST]


def test_a_priority_that_rises_is_kept_over_a_restart(database: Database) -> None:
    board = Dispatcher(database)
    for number in range(2):
        submit(board, number)
    for priority in (3, 1):
        board.submit(TARGET.id, f"{1:064}", SPEC, new_events(), priority)
    for one in (board, Dispatcher(database)):
        ranked = sorted(one.all_states(), key=rank)
        assert [state.job.priority for state in ranked] == [3, 0]
        first = one.take("a", [TARGET.id], 0)
        assert first is not None
        assert first.job.program_sha256 == f"{1:064}"
        assert [one.position(state).is_taken for state in ranked] == [True, False]
        assert [one.position(state).ahead for state in ranked] == [0, 1]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE jobs SET spec = '[1' WHERE program_sha256 = '{}'", "the benchmark spec"),
        ("UPDATE programs SET kernel_ids = x'00' WHERE sha256 = '{}'", "program 0000"),
    ],
)
def test_an_open_job_that_cannot_be_read_ends_at_the_next_start(
    database: Database, damage: str, said: str
) -> None:
    board = Dispatcher(database)
    submit(board, 0)
    submit(board, 1)
    [first, second] = board.open_states([TARGET.id])
    with database.writing() as connection:
        connection.execute(text(damage.format(f"{0:064}")))
    again = Dispatcher(database)
    assert [state.job.id for state in again.open_states([TARGET.id])] == [second.job.id]
    with database.reading() as connection:
        ended = measurements.outcome_of(connection, first.job.id)
        assert isinstance(ended, Failure)
        assert said in ended.message
        assert "measure the network again" in ended.message


def test_a_stored_visit_that_can_be_none_counts_as_failed_at_the_next_start(
    database: Database,
) -> None:
    board = Dispatcher(database)
    submit(board, 0)
    [state] = board.open_states([TARGET.id])
    for visit in (QUIET, replace(QUIET, wall_ns=(0,) * 20), QUIET):
        board.answer(state, board.ask(state, UNTRACED, "a"), visit)
    run_id = board.ask(state, UNTRACED, "a")
    board.answer(state, run_id, QUIET)
    with database.writing() as connection:
        odd = text("UPDATE visits SET conditions_after = '[' WHERE run_id = :run_id")
        connection.execute(odd, {"run_id": run_id})
    [state] = Dispatcher(database).open_states([TARGET.id])
    assert len(state.visits) == 2
    assert [failure.kind for failure in state.failures] == [FailureKind.AGENT_ERROR] * 2
    assert state.next() is None
