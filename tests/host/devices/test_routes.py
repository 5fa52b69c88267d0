"""Several routes to one device, and machines that wrongly share a serial."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from host.database import devices, schema
from host.database import programs as program_rows
from host.database.engine import Database
from host.devices.administration import Administration
from host.devices.fleet import Fleet
from host.devices.transports.transport import RouteGone
from host.devices.worker import DeviceWorker
from host.home.paths import sqlite_url
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue
from host.jobs.job_state import MAX_TIMES_LOST
from latlab.common.program_store import ProgramStore
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.device import DevicePhase, TransportKind
from latlab.domain.errors import InvalidRequest, NotFound, Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Lease
from latlab.domain.measurement import Visit
from latlab.domain.program import Program
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import (
    DEVICE,
    SENTINEL,
    SPEC,
    TARGET,
    FakeDevice,
    ended,
    new_events,
    next_event,
)

IDLE, SPARE, LOST = DevicePhase.IDLE, DevicePhase.SPARE, DevicePhase.LOST


@dataclass
class Agent:
    """What the routes to one device share."""

    id: str = "agent"
    results: dict[str, Visit] = field(default_factory=dict)
    running: threading.Event = field(default_factory=threading.Event)
    changes: int = 0  # how often it still leaves the serving route for the other in mid-run


@dataclass
class Route(FakeDevice):
    """One route. While it is `cut`, for a reason, nothing goes through."""

    agent: Agent = field(default_factory=Agent)
    cut: Unavailable | None = None
    cut_in_mid_run: Unavailable | None = None
    stopped: bool = False
    is_held: bool = False
    other: Route | None = None

    def connect(self) -> Route:
        self.agent_id = self.agent.id
        if self.cut is not None:
            raise self.cut
        return self

    def run(
        self, run_id: str, lease: Lease, program: Program, path: Path, spec: VisitSpec
    ) -> Visit | Failure:
        if self.cut is not None:
            raise self.cut
        if run_id not in self.agent.results:
            visit = super().run(run_id, lease, program, path, spec)
            assert isinstance(visit, Visit)
            self.agent.results[run_id] = visit
        self.agent.running.set()
        wait_until(lambda: not self.is_held)
        if self.agent.changes and self.other is not None:
            self.agent.changes -= 1
            self.cut, self.other.cut = Unavailable("unplugged"), None
            raise self.cut
        if self.cut_in_mid_run is not None:
            self.cut, self.cut_in_mid_run = self.cut_in_mid_run, None
            raise self.cut
        return self.agent.results[run_id]

    def stop(self) -> None:
        self.stopped = True


@dataclass
class Lab:
    database: Database
    dispatcher: Dispatcher
    fleet: Fleet

    @property
    def administration(self) -> Administration:
        return Administration(self.database, self.fleet, self.dispatcher)

    def worker(self, name: str) -> DeviceWorker:
        [worker] = [each for each in self.fleet.workers if each.transport.name == name]
        return worker

    def wait_for(self, **phases: DevicePhase) -> None:
        """Until there are these routes and no others, in these phases."""
        wait_until(
            lambda: {each.transport.name: each.state.phase for each in self.fleet.workers} == phases
        )

    def submit(self, number: int = 1) -> EventQueue:
        events = new_events()
        self.dispatcher.submit(TARGET.id, f"{number:064}", SPEC, events)
        return events

    def visits(self) -> int:
        with self.database.reading() as connection:
            return connection.scalars(select(func.count()).select_from(schema.visits)).one()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr("host.devices.worker.IDLE_S", 0.01)
    monkeypatch.setattr("host.devices.worker.LOST_PAUSE_S", 0.05)
    monkeypatch.setattr("host.devices.connection.CONNECT_PAUSES_S", (0.01, 0.01))
    database = Database(sqlite_url(tmp_path / "lab.db"))
    store = ProgramStore(tmp_path / "programs")
    with database.writing() as connection:
        devices.register_target(connection, TARGET)
        for number in range(1, 4):
            program = replace(SENTINEL, sha256=f"{number:064}")
            program_rows.add_program(connection, program)
            store.path(program.sha256).write_bytes(b"x")
    board, quiet = Dispatcher(database), threading.Lock()
    quarantine = ResultQuarantine(tmp_path / "quarantine")
    fleet = Fleet(lambda way: DeviceWorker(way, database, board, store, quiet, "test", quarantine))
    yield Lab(database, board, fleet)
    fleet.stop()
    database.close()


def two_routes(lab: Lab) -> tuple[Route, Route]:
    """To one agent: the first serves it, the second is the spare."""
    agent = Agent()
    first, second = (Route(name=name, address=f"{name}:1", agent=agent) for name in "ab")
    lab.fleet.add(first)
    lab.wait_for(a=IDLE)
    lab.fleet.add(second)
    lab.wait_for(a=IDLE, b=SPARE)
    return first, second


def test_one_route_serves_a_device_and_the_other_takes_over_when_it_goes(lab: Lab) -> None:
    first, second = two_routes(lab)
    assert str(lab.worker("b").state) == "spare: a serves the device"
    assert lab.worker("b").targets == {}
    ended(lab.submit(1))
    assert (len(first.ran), len(second.ran)) == (1, 0)

    first.cut = Unavailable("unplugged")
    first.patience_s = second.patience_s = 60.0
    lab.worker("a").reconnect()
    lab.wait_for(a=LOST, b=IDLE)
    ended(lab.submit(2))
    assert (len(first.ran), len(second.ran)) == (1, 1)

    first.cut = None
    lab.wait_for(a=SPARE, b=IDLE)
    assert lab.worker("a").targets == {}


def test_no_job_ends_because_another_route_to_its_device_was_given_up(lab: Lab) -> None:
    first, second = two_routes(lab)
    second.is_held = True
    first.cut = Unavailable("unplugged")  # and nobody waits for it
    lab.worker("a").reconnect()
    lab.wait_for(a=LOST, b=IDLE)
    events = lab.submit()
    second.agent.running.wait(60)
    first.readings.clear()
    lab.worker("a").reconnect()
    wait_until(lambda: lab.worker("a").state.phase is LOST)
    second.is_held = False
    ended(events)


@pytest.mark.parametrize("shares_host", [False, True])
def test_a_route_that_changes_in_mid_measurement_costs_no_visit_and_doubles_none(
    lab: Lab, shares_host: bool
) -> None:
    first, second = two_routes(lab)
    first.shares_host = second.shares_host = shares_host
    first.cut_in_mid_run = Unavailable("unplugged")
    measured = ended(lab.submit())
    assert (len(first.ran), len(second.ran)) == (1, 0)  # the second fetched what the first ran
    assert [visit.run_id for visit in measured.visits] == list(first.agent.results)
    assert lab.visits() == 1
    lab.wait_for(a=LOST, b=IDLE)


def test_a_device_whose_routes_change_again_and_again_is_not_given_up(lab: Lab) -> None:
    first, second = two_routes(lab)
    first.patience_s = second.patience_s = 60.0
    first.other, second.other = second, first
    first.agent.changes = 2 * (MAX_TIMES_LOST - 1)
    measured = ended(lab.submit())
    assert [visit.run_id for visit in measured.visits] == list(first.agent.results)
    assert lab.visits() == 1


def test_a_route_that_is_removed_leaves_agent_and_jobs_to_the_other(lab: Lab) -> None:
    first, second = two_routes(lab)
    first.is_held = True
    events = [lab.submit(number) for number in (1, 2)]
    first.agent.running.wait(60)
    assert lab.administration.remove("a:1") == ["a"]
    first.is_held = False
    for each in events:
        ended(each)
    lab.wait_for(b=IDLE)
    assert (len(first.ran), len(second.ran)) == (1, 1)
    assert not first.stopped


def test_a_route_that_leads_nowhere_goes_once_another_serves_its_device(lab: Lab) -> None:
    agent = Agent()
    first, second = (Route(name=name, patience_s=60.0, agent=agent) for name in "ab")
    lab.fleet.add(first)
    lab.wait_for(a=IDLE)
    first.cut = RouteGone("unplugged")
    lab.worker("a").reconnect()
    lab.wait_for(a=LOST)
    lab.fleet.add(second)
    lab.wait_for(b=IDLE)
    ended(lab.submit())
    first.cut = None
    lab.fleet.add(first)
    lab.wait_for(b=IDLE, a=SPARE)


def test_a_copy_of_a_machine_is_refused_with_what_to_do(lab: Lab) -> None:
    first = Route(name="a", agent=Agent("one"))
    second = Route(name="b", agent=Agent("another"))
    lab.fleet.add(first)
    lab.wait_for(a=IDLE)
    lab.fleet.add(second)
    lab.wait_for(a=IDLE, b=LOST)
    told = lab.worker("b").state.detail
    assert f"b is another machine than a, and both say that they are device {DEVICE.serial}" in told
    assert "systemd-machine-id-setup" in told
    ended(lab.submit())
    assert not second.ran
    second.serial = "its own now"
    lab.wait_for(a=IDLE, b=IDLE)


def test_an_agent_that_restarted_unnoticed_is_no_copy(lab: Lab) -> None:
    first, second = two_routes(lab)
    assert lab.administration.remove("b") == ["b"]
    lab.wait_for(a=IDLE)
    first.agent.id = "restarted"
    lab.fleet.add(second)
    lab.wait_for(a=IDLE, b=SPARE)


def test_agents_without_ids_are_told_apart_by_serial_alone(lab: Lab) -> None:
    for name in "ab":
        lab.fleet.add(Route(name=name, agent=Agent("")))
    wait_until(lambda: {each.state.phase for each in lab.fleet.workers} == {IDLE, SPARE})


def test_devices_of_every_kind_are_removed_by_serial_name_or_address(lab: Lab) -> None:
    two_routes(lab)
    assert lab.administration.remove(DEVICE.serial) == ["a", "b"]
    lab.wait_for()
    phone = Route(name="adb:X", kind=TransportKind.ADB, address="X", serial="phone")
    lab.fleet.add(phone)
    lab.wait_for(**{"adb:X": IDLE})
    assert lab.administration.remove("X") == ["adb:X"]
    lab.wait_for()
    assert phone.stopped
    with pytest.raises(NotFound, match="no device 'Y'"):
        lab.administration.remove("Y")


def test_the_local_device_is_not_removed(lab: Lab) -> None:
    lab.fleet.add(Route(name="local", kind=TransportKind.LOCAL, address=""))
    lab.wait_for(local=IDLE)
    with pytest.raises(InvalidRequest, match="latlab devices drain local"):
        lab.administration.remove("local")
    lab.wait_for(local=IDLE)


@pytest.mark.parametrize("wanted", [DEVICE.serial, "adb:X", "X"])
def test_a_device_that_has_not_come_back_is_removed_with_its_jobs(lab: Lab, wanted: str) -> None:
    with lab.database.writing() as connection:
        devices.register(connection, DEVICE, "adb:X", 1)
    lab.fleet.add(Route(name="adb:X", kind=TransportKind.ADB, address="X", cut=RouteGone("gone")))
    lab.wait_for(**{"adb:X": LOST})
    events = lab.submit()
    assert lab.administration.remove(wanted) == ["adb:X"]
    lab.wait_for()
    outcome = next_event(events)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DEVICE_LOST
    assert "was removed" in outcome.message


def test_a_device_of_the_past_is_removed_with_its_jobs(lab: Lab) -> None:
    with lab.database.writing() as connection:
        devices.register(connection, DEVICE, "adb:X", 1)
    events = lab.submit()
    assert lab.administration.remove(DEVICE.serial) == []
    assert isinstance(next_event(events), Failure)
