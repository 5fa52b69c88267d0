"""A worker, its board and its database, with a device that is as slow as the test says."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from host import sentinel
from host.agent_client import AgentClient
from host.board import JobBoard, JobEvent
from host.database import devices, measurements, schema, sentinels
from host.database import programs as program_rows
from host.database.engine import Database
from host.device_worker import DeviceWorker
from host.domain import (
    BenchmarkSpec,
    CoreClass,
    Device,
    Failure,
    Lease,
    Measurement,
    Program,
    Visit,
    VisitSpec,
)
from host.errors import Unavailable
from host.program_store import ProgramStore
from host.targets import targets_of
from tests.host.test_summary import QUIET

DEVICE = Device(
    "serial", "m", "s", "os", "abi", "rt", "rb", ("xnnpack",), (CoreClass("all", (0,)),), 1, 1
)
[TARGET] = targets_of(DEVICE)
SENTINEL = Program("5e" * 32, 1, "xnnpack", ((1, 8),), (), (), "test")
SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0)
JOBS_BETWEEN = 2
WAIT_S = 60.0


@dataclass
class FakeDevice(AgentClient):
    """Its own transport and agent. The sentinel takes 1 ms times `slowness`, of which each
    check takes one value and then the last for ever; `ran` is what was run, visit by visit."""

    slowness: list[float] = field(default_factory=lambda: [1.0])
    ran: list[str] = field(default_factory=list)
    is_lost: bool = False
    name: str = "fake"
    shares_host: bool = False

    def connect(self) -> FakeDevice:
        return self

    def stop(self) -> None: ...

    def describe(self) -> Device:
        return DEVICE

    def run(
        self, run_id: str, lease: Lease, program: Program, path: Path, spec: VisitSpec
    ) -> Visit | Failure:
        if self.is_lost:
            self.is_lost = False
            raise Unavailable("unplugged")
        ns = 1_000_000
        if program == SENTINEL:
            check = min(self.checks(), len(self.slowness) - 1)
            ns = round(ns * self.slowness[check])
        self.ran.append(program.sha256)
        return replace(QUIET, run_id=run_id, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20)

    def acknowledge(self, run_id: str) -> None: ...

    def checks(self) -> int:
        """How many have ended: visits that agree are as few as may be."""
        return self.ran.count(SENTINEL.sha256) // sentinel.SPEC.min_visits


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@dataclass
class Lab:
    database: Database
    board: JobBoard
    device: FakeDevice
    worker: DeviceWorker
    store: ProgramStore
    programs: int = 0

    def start(self, *slowness: float, pinned: bool = True) -> None:
        self.device.slowness = list(slowness)
        with self.database.writing() as connection:
            devices.register_target(connection, TARGET)
            if pinned:
                sentinels.pin(connection, SENTINEL.sha256)
        self.worker.start()

    def submit(self) -> queue.SimpleQueue[JobEvent]:
        """A new program to measure."""
        self.programs += 1
        program = self.add(replace(SENTINEL, sha256=f"{self.programs:064}"))
        events: queue.SimpleQueue[JobEvent] = queue.SimpleQueue()
        self.board.submit(TARGET.id, program.sha256, SPEC, events)
        return events

    def measure(self, count: int) -> list[Measurement]:
        return [ended(self.submit()) for _ in range(count)]

    def add(self, program: Program) -> Program:
        self.store.path(program.sha256).write_bytes(b"x")
        with self.database.writing() as connection:
            program_rows.add_program(connection, program)
        return program

    def learned_from(self) -> list[str]:
        """Programs; a known measurement of each is answered again, of no other."""
        with self.database.reading() as connection:
            found = [sha for sha, _, _ in measurements.measured_networks(connection, TARGET.id)]
            assert devices.measurement_counts(connection).get(TARGET.id, 0) == len(found)
            for number in range(1, self.programs + 1):
                sha = f"{number:064}"
                known = measurements.find_measurement(connection, TARGET.id, sha, SPEC)
                assert (known is not None) == (sha in found)
        return found

    def measured(self) -> int:
        """Rows, of whatever kind."""
        with self.database.reading() as connection:
            return connection.scalars(select(func.count()).select_from(schema.measurements)).one()


@pytest.fixture
def lab(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("host.sentinel_watch.JOBS_BETWEEN", JOBS_BETWEEN)
    monkeypatch.setattr("host.sentinel.CONFIRM_S", 0.01)
    monkeypatch.setattr("host.sentinel.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("host.sentinel.MAX_PAUSE_S", 0.05)
    monkeypatch.setattr("host.device_worker.IDLE_S", 0.01)
    board, store, device = JobBoard(database), ProgramStore(tmp_path / "programs"), FakeDevice()
    worker = DeviceWorker(device, database, board, store, threading.Lock(), "test")
    lab = Lab(database, board, device, worker, store)
    lab.add(SENTINEL)
    yield lab
    worker.stop()


def ended(events: queue.SimpleQueue[JobEvent]) -> Measurement:
    while not isinstance(outcome := events.get(timeout=WAIT_S).event, Measurement):
        assert not isinstance(outcome, Failure), outcome
    return outcome


def wait_until_drifted(lab: Lab) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not ((watch := lab.worker.sentinels.watch(TARGET.id)) and watch.drifted):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_it_comes_first_and_after_so_many_jobs(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1 + JOBS_BETWEEN)
    check = [SENTINEL.sha256] * sentinel.SPEC.min_visits
    first, second, third = (f"{number:064}" for number in (1, 2, 3))
    assert lab.device.ran == [*check, first, second, *check, third]
    assert lab.learned_from() == [first, second, third]
    assert lab.measured() == 3 + 2


def test_it_comes_after_every_reconnection(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    lab.device.is_lost = True
    lab.measure(1)
    assert lab.device.checks() == 2


def test_without_one_jobs_go_their_way(lab: Lab) -> None:
    lab.start(1.0, pinned=False)
    lab.measure(1 + JOBS_BETWEEN)
    assert lab.device.checks() == 0
    assert lab.worker.sentinels.watch(TARGET.id) is None


@pytest.mark.parametrize("slowness", [1.1, 0.9])
def test_a_drift_makes_suspect_what_came_since_the_last_good_one(lab: Lab, slowness: float) -> None:
    lab.start(1.0, 1.0, slowness, slowness, slowness, 1.0)
    before = lab.measure(JOBS_BETWEEN)
    since = lab.measure(JOBS_BETWEEN)
    [after] = lab.measure(1)  # waits for the last check
    assert lab.device.checks() == 6
    assert lab.learned_from() == [m.program_sha256 for m in (*before, after)]
    assert not after.suspect
    with lab.database.reading() as connection:
        for measurement in since:
            kept = measurements.get_measurement(connection, measurement.id)
            assert kept == replace(measurement, suspect=True)


def test_a_passing_mood_makes_nothing_suspect_but_itself(lab: Lab) -> None:
    lab.start(1.0, 1.1, 1.0)
    assert len(lab.measure(1 + JOBS_BETWEEN)) == len(lab.learned_from())
    assert lab.device.checks() == 3


def test_jobs_wait_until_the_baseline_is_renewed(lab: Lab) -> None:
    lab.start(1.0, 1.1)
    lab.measure(JOBS_BETWEEN)
    waiting = lab.submit()
    wait_until_drifted(lab)
    with lab.database.writing() as connection:
        sentinels.set_baseline(connection, TARGET.id, None)
    lab.worker.sentinels.renew(TARGET.id)
    measured = ended(waiting)
    assert lab.learned_from() == [measured.program_sha256]
    watch = lab.worker.sentinels.watch(TARGET.id)
    assert watch is not None
    assert watch.drift == 0


def test_visits_made_while_it_drifted_make_their_measurement_suspect(lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    lab.worker.stop()
    lab.submit()
    lab.submit()
    [begun, untouched] = lab.board.open_states([TARGET.id])
    begun.visits.append(QUIET)
    lab.board.suspect(TARGET.id)
    assert lab.board.complete(begun, None).suspect
    assert not lab.board.complete(untouched, None).suspect


def test_another_program_takes_a_new_baseline(database: Database, lab: Lab) -> None:
    lab.start(1.0)
    lab.measure(1)
    other = lab.add(replace(SENTINEL, sha256="0e" * 32))
    with database.writing() as connection:
        sentinels.pin(connection, SENTINEL.sha256)
        assert sentinels.get_sentinel(connection, TARGET.id)[1] is not None  # type: ignore[index]
        sentinels.pin(connection, other.sha256)
        assert sentinels.get_sentinel(connection, TARGET.id) == (other, None)
    assert other.sha256 in lab.board.programs_in_use()
