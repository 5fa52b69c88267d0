"""A lab without gRPC: a real worker, board and database, and a device made of a test's words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from host.agent.client import AgentClient
from host.database import devices, measurements, schema, sentinels
from host.database import programs as program_rows
from host.database.engine import Database
from host.devices.readiness import sentinel_rule
from host.devices.worker import DeviceWorker
from host.home.config import NO_CONFIG, LabConfig
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue, JobEvent, Progress
from latlab.common.program_store import ProgramStore
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.device import CoreClass, Device, TransportKind
from latlab.domain.errors import Unavailable
from latlab.domain.failure import Failure
from latlab.domain.job import Lease
from latlab.domain.measurement import Conditions, Measurement, Visit
from latlab.domain.program import Program, TensorSpec
from latlab.domain.target import targets_of
from tests.host.measuring.test_statistics import NOW, QUIET

MEMORY_BYTES = 1 << 30
DEVICE = Device(
    "serial",
    "m",
    "s",
    "os",
    "abi",
    "rt",
    "rb",
    ("xnnpack",),
    (CoreClass("all", (0,)),),
    MEMORY_BYTES,
    1,
)
[TARGET] = targets_of(DEVICE)
SENTINEL = Program("5e" * 32, 1, "xnnpack", (TensorSpec((1, 8)),), (), (), "test")
SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0, spacing_ns=0)
WAIT_S = 60.0


@dataclass
class FakeDevice(AgentClient):
    """Its own transport and agent. The sentinel takes 1 ms times `slowness`, of which each
    check takes one value and then the last for ever; `conditions` likewise, one a reading;
    `ran` is what was run, visit by visit; `readings`, and after how many visits; `uploads`,
    and after how many. `unacknowledged` are calls that will fail."""

    slowness: list[float] = field(default_factory=lambda: [1.0])
    ran: list[str] = field(default_factory=list)
    conditions: list[Conditions] = field(default_factory=lambda: [NOW])
    readings: list[tuple[Conditions, int]] = field(default_factory=list)
    uploads: list[tuple[str, int]] = field(default_factory=list)
    unacknowledged: int = 0
    acknowledged: set[str] = field(default_factory=set)
    is_lost: bool = False
    kind: TransportKind = TransportKind.TCP
    name: str = "fake"
    address: str = "fake:1"
    shares_host: bool = False
    patience_s: float = 0.0
    serial: str = DEVICE.serial
    agent_id: str = ""

    def connect(self) -> FakeDevice:
        return self

    def stop(self) -> None: ...

    def describe(self) -> Device:
        return replace(DEVICE, serial=self.serial, agent_id=self.agent_id)

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
        now = self.read_conditions()
        visit = replace(QUIET, run_id=run_id, traced=spec.traced, before=now, after=now)
        return replace(visit, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20)

    def upload(self, program: Program, path: Path) -> None:
        self.uploads.append((program.sha256, len(self.ran)))

    def read_conditions(self) -> Conditions:
        now = self.conditions.pop(0) if len(self.conditions) > 1 else self.conditions[0]
        self.readings.append((now, len(self.ran)))
        return now

    def acknowledge(self, *run_ids: str) -> None:
        if self.unacknowledged:
            self.unacknowledged -= 1
            raise Unavailable("unplugged")
        self.acknowledged.update(run_ids)

    def checks(self) -> int:
        """How many have ended: visits that agree are as few as may be."""
        return self.ran.count(SENTINEL.sha256) // sentinel_rule.SPEC.min_visits


def new_events() -> EventQueue:
    """For fewer measurements than it holds whole."""
    return EventQueue(lambda measurement_id: pytest.fail(f"{measurement_id} is read"))


def next_event(events: EventQueue) -> Progress | Measurement | Failure:
    """Of the one job that the queue listens to."""
    event = events.get(timeout=WAIT_S)
    assert isinstance(event, JobEvent)
    return event.event


def ended(events: EventQueue) -> Measurement:
    while not isinstance(outcome := next_event(events), Measurement):
        assert not isinstance(outcome, Failure), outcome
    return outcome


@dataclass
class Lab:
    database: Database
    board: Dispatcher
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

    def submit(self) -> EventQueue:
        """A new program to measure."""
        self.programs += 1
        program = self.add(replace(SENTINEL, sha256=f"{self.programs:064}"))
        events = new_events()
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


@contextmanager
def fake_lab(
    database: Database, folder: Path, config: LabConfig = NO_CONFIG, *, shares_host: bool = False
) -> Iterator[Lab]:
    board, store = Dispatcher(database), ProgramStore(folder / "programs")
    device = FakeDevice(shares_host=shares_host)
    quiet, quarantine = threading.Lock(), ResultQuarantine(folder / "quarantine")
    worker = DeviceWorker(device, database, board, store, quiet, "test", quarantine, config)
    lab = Lab(database, board, device, worker, store)
    lab.add(SENTINEL)
    try:
        yield lab
    finally:
        worker.stop()
