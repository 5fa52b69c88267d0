"""Jobs whose client has left for now: they keep their visits, and the device is free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.database import devices, programs
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue, Progress
from host.jobs.job_state import JobState
from host.jobs.wait_reasons import ServingDevice, waits_for
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from tests.host.fake_lab import DEVICE, SENTINEL, TARGET, new_events, next_event
from tests.host.measuring.test_statistics import QUIET

SPEC = BenchmarkSpec(min_visits=2, max_visits=3, traced_visits=0)
UNTRACED = NextVisit(traced=False)
SHA256 = "0" * 64


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        devices.register(connection, DEVICE, "test", 1)
        devices.register_target(connection, TARGET)
        programs.add_program(connection, replace(SENTINEL, sha256=SHA256))
    yield database
    database.close()


def submit(board: Dispatcher) -> EventQueue:
    events = new_events()
    board.submit(TARGET.id, SHA256, SPEC, events)
    return events


def take(board: Dispatcher) -> JobState | None:
    return board.take(DEVICE.serial, [TARGET.id], 0)


def visited(board: Dispatcher, number: int = 0) -> JobState:
    """Make a visit of the one job, which is put back."""
    state = take(board)
    assert state is not None
    answer(board, state, board.ask(state, UNTRACED, DEVICE.serial), number)
    return state


def answer(board: Dispatcher, state: JobState, run_id: str, number: int = 0) -> None:
    board.answer(state, run_id, replace(QUIET, run_id=f"{number:032}"))
    board.put_back(state)


def test_a_paused_job_makes_no_visit_and_goes_on_with_those_it_has(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    state = visited(board)
    board.unsubscribe(events, pause=True)
    assert take(board) is None
    assert board.count_open([TARGET.id]) == 0
    assert waits_for(board.position(state), [ServingDevice("a", "")]).endswith("it is paused")
    again = submit(board)
    progress = next_event(again)
    assert isinstance(progress, Progress)
    assert len(progress.visits) == 1
    assert board.count_open([TARGET.id]) == 1
    assert take(board) is state


def test_a_client_that_leaves_for_good_pauses_nothing(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    visited(board)
    board.unsubscribe(events)
    assert take(board) is not None


def test_a_job_goes_on_as_long_as_another_client_waits_for_it(database: Database) -> None:
    board = Dispatcher(database)
    first, second = submit(board), submit(board)
    board.unsubscribe(first, pause=True)
    state = visited(board)
    assert isinstance(next_event(second), Progress)
    board.unsubscribe(second, pause=True)
    assert take(board) is None
    assert state.is_paused


def test_the_visit_under_way_is_kept(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    state = take(board)
    assert state is not None
    run_id = board.ask(state, UNTRACED, DEVICE.serial)
    board.unsubscribe(events, pause=True)
    answer(board, state, run_id)
    assert len(state.visits) == 1
    assert take(board) is None


def test_a_job_that_needs_no_more_visits_ends_all_the_same(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    visited(board, 0)
    state = visited(board, 1)  # they agree
    board.unsubscribe(events, pause=True)
    assert take(board) is state
    assert state.next() is None


def test_a_restarted_lab_goes_on_with_what_was_paused(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    visited(board)
    board.unsubscribe(events, pause=True)
    restored = take(Dispatcher(database))
    assert restored is not None
    assert len(restored.visits) == 1


def test_a_job_that_stays_paused_ends(database: Database) -> None:
    board = Dispatcher(database)
    events = submit(board)
    state = visited(board)
    board.unsubscribe(events, pause=True)
    board.end_overdue(3_600e9)
    assert board.all_states()
    waiting = submit(board)
    next_event(waiting)
    board.unsubscribe(waiting, pause=True)
    state.paused_ns -= 2 * 3_600 * 10**9
    board._listeners.add(state.job.id, waiting)  # to hear how it ends
    board.end_overdue(3_600e9)
    assert board.all_states() == []
    outcome = next_event(waiting)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.CANCELLED
    assert "paused for 1 h" in outcome.message
