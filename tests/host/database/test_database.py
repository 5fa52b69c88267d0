"""The contract of the database, held by SQLite and PostgreSQL alike."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from host.database import (
    device_history,
    devices,
    jobs,
    measurements,
    programs,
    schema,
    stored_measurements,
)
from host.database.connections import opening
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.predicting.summaries import Summarizer
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import Device, DeviceEvent, EventKind
from latlab.domain.errors import DatabaseBusy, DiskFull, InvalidRequest, StorageError
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Exclusion, Visit
from latlab.domain.program import Program, TensorSpec
from latlab.domain.target import Target
from tests.host.database.undoing import undone
from tests.host.measuring.test_statistics import QUIET, TRACED
from tests.latlab.convert import strategies

DEVICE = Device("serial", "m", "s", "os", "abi", "rt", "rb", ("xnnpack",), (), 1, 1)
TARGET = Target("m", "os", "rt", "rb", "xnnpack", 1, "all")
ADD = Kernel("add", ((1, 8), (1, 8)), (1, 8))
RESHAPE = Kernel("reshape", ((1, 8),), (8,))
PROGRAM = Program("ab" * 32, 4, "xnnpack", (TensorSpec((1, 8)),), (ADD, RESHAPE, ADD), (), "test")
JOB = Job("job", TARGET.id, PROGRAM.sha256, BenchmarkSpec(), 1)

any_data = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.writing() as connection:
        devices.register(connection, DEVICE, "local", 1)
        devices.register_target(connection, TARGET)
        programs.add_program(connection, PROGRAM)
        jobs.add_job(connection, JOB)
    yield database
    database.close()


def test_the_migrations_make_the_schema_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_a_newer_schema_is_refused_and_left_alone(database: Database, database_url: str) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer"):
        Database(database_url)
    with database.reading() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        )


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_text("not a database, " * 100)
    with pytest.raises(StorageError, match=r"lab\.db"):
        Database(sqlite_url(tmp_path / "lab.db"))


@any_data
@given(program=strategies.programs)
def test_programs_come_back_as_they_were(database: Database, program: Program) -> None:
    with undone(database) as connection:
        programs.add_program(connection, program)
        programs.add_program(connection, program)
        assert programs.get_program(connection, program.sha256) == program


def test_an_operator_that_joins_many_tensors_is_stored(database: Database) -> None:
    cat = Kernel("portable:cat", ((1, 1000, 7, 7),) * 170, (1, 170_000, 7, 7))
    assert schema.MAX_KERNEL_CHARS - 300 < len(str(cat)) <= schema.MAX_KERNEL_CHARS
    joining = replace(PROGRAM, sha256="ca" * 32, kernels=(cat,))
    with database.writing() as connection:
        programs.add_program(connection, joining)
        assert programs.get_program(connection, joining.sha256) == joining


def test_the_kernels_of_known_bytes_cannot_change(database: Database) -> None:
    with (
        pytest.raises(InvalidRequest, match="another list"),
        database.writing() as connection,
    ):
        programs.add_program(connection, replace(PROGRAM, kernels=(ADD,)))


@any_data
@given(visit=strategies.visits)
def test_visits_come_back_as_they_were(database: Database, visit: Visit) -> None:
    with undone(database) as connection:
        job_id = f"{visit.run_id[:16]}"
        jobs.add_job(connection, replace(JOB, id=job_id))
        jobs.ask_visit(connection, visit.run_id, job_id, "serial", visit.traced, 5)
        asked = jobs.AskedVisit(visit.run_id, job_id, "serial", visit.traced)
        assert list(jobs.visits_of_open_jobs(connection)) == [(asked, None)]
        jobs.answer_visit(connection, visit.run_id, visit, 6)
        assert list(jobs.visits_of_open_jobs(connection)) == [(asked, visit)]


def answer(database: Database, run_id: str, outcome: Visit | Failure) -> None:
    with database.writing() as connection:
        traced = isinstance(outcome, Visit) and outcome.traced
        jobs.ask_visit(connection, run_id, JOB.id, "serial", traced, 5)
        if isinstance(outcome, Visit):
            outcome = replace(outcome, run_id=run_id)
        jobs.answer_visit(connection, run_id, outcome, 6)


def test_a_text_from_a_device_is_stored_without_nul(database: Database) -> None:
    """PostgreSQL refuses it."""
    odd = Failure(FailureKind.CRASHED, "sig\0nal")
    answer(database, "0", odd)
    with database.writing() as connection:
        jobs.end_with_failure(connection, JOB, odd, 9)
        event = DeviceEvent(1, EventKind.LOST, odd.message)
        device_history.add_event(connection, DEVICE.serial, event)
    with database.reading() as connection:
        ended = measurements.outcome_of(connection, JOB.id)
        past = device_history.history(connection, DEVICE.serial, None)
    message = "sig\N{REPLACEMENT CHARACTER}nal"
    assert ended == Failure(FailureKind.CRASHED, message)
    assert past.events[0].detail == message


def test_only_the_same_spec_and_target_show_that_a_program_has_run(database: Database) -> None:
    answer(database, "0", Failure(FailureKind.CRASHED, "once"))
    with database.reading() as connection:
        assert not device_history.has_run(connection, JOB, traced=False)
        assert device_history.last_asked_unix_ns(connection, "another") is None
    answer(database, "1", QUIET)
    with database.reading() as connection:
        assert device_history.has_run(connection, JOB, traced=False)
        assert not device_history.has_run(connection, JOB, traced=True)
        other_spec = replace(JOB, spec=BenchmarkSpec(max_visits=12))
        for other in (other_spec, replace(JOB, target_id="another")):
            assert not device_history.has_run(connection, other, traced=False)
        assert device_history.last_asked_unix_ns(connection, TARGET.id) == 5


def test_a_measurement_is_its_visits_and_found_again(database: Database) -> None:
    failure = Failure(FailureKind.CRASHED, "once")
    outcomes: list[Visit | Failure] = [QUIET, failure, QUIET, TRACED]
    for number, outcome in enumerate(outcomes):
        answer(database, str(number), outcome)
    with database.writing() as connection:
        assert jobs.open_jobs(connection) == [JOB]
        jobs.end_with_measurement(connection, JOB, "m1", (1.5, 2.0, 0.25), 9)
        assert jobs.open_jobs(connection) == []
    Summarizer(database).complete()
    with database.reading() as connection:
        found = measurements.find_measurement(connection, TARGET.id, PROGRAM.sha256, JOB.spec)
        assert found == measurements.get_measurement(connection, "m1")
        assert found is not None
        assert [visit.run_id for visit in found.visits] == ["0", "2", "3"]
        other = replace(JOB.spec, min_visits=1)
        assert not measurements.find_measurement(connection, TARGET.id, PROGRAM.sha256, other)
        [(sha256, identifier, network)] = measurements.measured_networks(connection, TARGET.id)
        assert (sha256, identifier) == (PROGRAM.sha256, "m1")
        assert network.kernels == PROGRAM.kernels
        assert network.kernel_ns == (1.5, 2.0, 0.25)
        assert network.latency_ns == 100_000
        assert devices.measurement_counts(connection) == {TARGET.id: 1}


def test_sustained_load_is_a_mode_of_its_own(database: Database) -> None:
    answer(database, "0", QUIET)
    sustained = replace(JOB, id="warm", spec=BenchmarkSpec.sustained(30))
    with database.writing() as connection:
        jobs.end_with_measurement(connection, JOB, "m1", None, 9)
        jobs.add_job(connection, sustained)
        jobs.ask_visit(connection, "1", sustained.id, "serial", False, 10)
        jobs.answer_visit(connection, "1", replace(QUIET, run_id="1"), 11)
        jobs.end_with_measurement(connection, sustained, "m2", None, 12)
    Summarizer(database).complete()
    with database.reading() as connection:
        learned = [found for _, found, _ in measurements.measured_networks(connection, TARGET.id)]
        assert learned == ["m1"]
        assert devices.measurement_counts(connection) == {TARGET.id: 1}
        for job, expected in ((JOB, "m1"), (sustained, "m2")):
            found = measurements.find_measurement(connection, TARGET.id, PROGRAM.sha256, job.spec)
            assert found is not None
            assert found.id == expected


@pytest.mark.parametrize("load_s", [0, 0.5, 501, float("nan")])
def test_sustained_load_is_of_seconds_up_to_minutes(load_s: float) -> None:
    with pytest.raises(ValueError, match="load"):
        BenchmarkSpec.sustained(load_s)


def test_a_job_ends_once(database: Database) -> None:
    answer(database, "0", QUIET)
    gone = Failure(FailureKind.CRASHED, "gone")
    with database.writing() as connection:
        assert jobs.end_with_failure(connection, JOB, gone, 9)
        assert not jobs.end_with_failure(connection, JOB, Failure(FailureKind.CRASHED, "2"), 9)
        assert not jobs.end_with_measurement(connection, JOB, "m", None, 9)
    with database.reading() as connection:
        assert measurements.outcome_of(connection, JOB.id) == gone
        assert connection.execute(select(schema.failures.c.message)).scalars().all() == ["gone"]
        assert connection.execute(select(schema.measurements)).all() == []


class LeaseClock:
    """In place of the database's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.ns = "clock", 0
        monkeypatch.setattr("host.database.devices.lease_clock", lambda _: (self.name, self.ns))


@pytest.fixture
def lease_clock(monkeypatch: pytest.MonkeyPatch) -> LeaseClock:
    return LeaseClock(monkeypatch)


def test_lease_tokens_only_grow_and_holders_exclude_each_other(
    database: Database, lease_clock: LeaseClock
) -> None:
    def acquire(holder: str, now: int) -> int | None:
        lease_clock.ns = now
        with database.writing() as connection:
            return devices.acquire_lease(connection, "serial", holder, 10)

    assert acquire("a", 0) == 1
    assert acquire("b", 5) is None
    assert acquire("a", 8) == 1
    assert acquire("b", 17) is None
    assert acquire("b", 18) == 2
    with database.writing() as connection:
        devices.release_lease(connection, "serial", 2)
    assert acquire("a", 20) == 3
    lease_clock.name = "the clock of the next boot"
    assert acquire("b", 1) == 4


def test_a_lease_by_a_clock_that_was_set_back_ends_within_its_duration(
    database: Database, lease_clock: LeaseClock
) -> None:
    def acquire(holder: str, now: int) -> bool:
        lease_clock.ns = now
        with database.writing() as connection:
            return devices.acquire_lease(connection, "serial", holder, 10) is not None

    assert acquire("a", 1_000_000)
    assert not acquire("b", 0)
    assert not acquire("b", 9)
    assert acquire("b", 10)


def test_leases_expire_by_a_clock_that_all_labs_on_the_database_share(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not this machine's clock, which may jump."""
    monkeypatch.setattr("time.time_ns", lambda: 0)
    with database.writing() as connection:
        clock, now_ns = devices.lease_clock(connection)
        assert devices.lease_clock(connection)[1] > now_ns > 0
        assert bool(clock) == (connection.dialect.name == "sqlite")
        assert devices.acquire_lease(connection, "serial", "a", 3_600 * 10**9) == 1
        assert devices.acquire_lease(connection, "serial", "b", 3_600 * 10**9) is None


def test_a_database_has_an_id_of_its_own(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    again, other = Database(database_url), Database(sqlite_url(tmp_path / "other.db"))
    assert again.id == database.id != other.id
    again.close()
    other.close()


def test_writers_take_turns(database: Database) -> None:
    """Read, then write, from several threads: none sees another's half."""

    def grow() -> None:
        for _ in range(5):
            with database.writing() as connection:
                token = devices.acquire_lease(connection, "serial", "a", 1)
                assert token is not None
                connection.execute(schema.leases.update().values(token=token + 1))

    threads = [threading.Thread(target=grow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with database.reading() as connection:
        assert connection.execute(select(schema.leases.c.token)).scalar_one() == 1 + 4 * 5


def test_a_reader_on_a_new_connection_does_not_wait_for_the_writer(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(schema.leases.delete())
        with database.reading() as first, database.reading() as second:
            for reader in (first, second):
                assert devices.get_device(reader, DEVICE.serial) == DEVICE


def test_writers_that_share_a_commit_fail_alone(database: Database) -> None:
    """What one of them writes is undone when it raises; the others' stays."""

    def write(number: int) -> None:
        job = replace(JOB, id=f"many-{number}", created_unix_ns=number)
        with (
            contextlib.suppress(ZeroDivisionError, IntegrityError),
            database.writing() as connection,
        ):
            jobs.add_job(connection, job)
            if number % 3 == 0:
                raise ZeroDivisionError
            if number % 3 == 1:
                jobs.add_job(connection, job)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(2, 99)))
    with database.reading() as connection:
        written = {job.created_unix_ns for job in jobs.open_jobs(connection)}
    assert written == {1, *range(2, 99, 3)}


def test_a_database_that_refuses_says_so_to_every_writer(database: Database) -> None:
    """And takes no part of what they wrote."""
    started = threading.Barrier(8)

    def write(number: int) -> bool:
        started.wait(timeout=60)
        try:
            with database.writing() as connection:
                jobs.add_job(connection, replace(JOB, id=f"refused-{number}"))
                raise OperationalError("INSERT", {}, Exception("the disk is full"))
        except StorageError as error:
            return "the disk is full" in str(error)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(write, range(8)))
    with database.writing() as connection:
        assert [job.id for job in jobs.open_jobs(connection)] == [JOB.id]


def test_a_devices_history_is_bounded_and_counts_what_is_known(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.database.device_history.MAX_EVENTS", 4)
    answer(database, "0", QUIET)
    answer(database, "1", Failure(FailureKind.CRASHED, "once"))
    kinds = [EventKind.NOTED, EventKind.CONNECTED, EventKind.CONNECTED, EventKind.LOST]
    kinds += [EventKind.CONNECTED]
    with database.writing() as connection:
        for number, kind in enumerate(kinds):
            device_history.add_event(connection, DEVICE.serial, DeviceEvent(10 * number, kind))
        device_history.set_note(connection, DEVICE.serial, "dropped once")
        device_history.set_drained(connection, DEVICE.serial, True)
    with database.reading() as connection:
        assert device_history.is_drained(connection, DEVICE.serial)
        for wanted in (DEVICE.serial, "local"):
            assert device_history.find_device(connection, wanted) == DEVICE.serial
        assert device_history.find_device(connection, "nobody") is None
        past = device_history.history(connection, DEVICE.serial, until_unix_ns=45)
        assert past.connected_ns == 10 + 5
        assert device_history.history(connection, DEVICE.serial, None).connected_ns == 10
    assert [event.kind for event in past.events] == kinds[:0:-1]
    assert (past.visits, past.failures) == (1, {FailureKind.CRASHED: 1})
    assert past.note == "dropped once"


def test_kinds_of_a_newer_version_are_read_as_what_comes_nearest(database: Database) -> None:
    answer(database, "0", Failure(FailureKind.CRASHED, "once"))
    with database.writing() as connection:
        jobs.end_with_failure(connection, JOB, Failure(FailureKind.CRASHED, "twice"), 9)
        device_history.add_event(connection, DEVICE.serial, DeviceEvent(1, EventKind.LOST, "gone"))
        for statement in (
            "UPDATE visits SET failure_kind = 'melted'",
            "UPDATE failures SET kind = 'melted'",
            "UPDATE device_events SET kind = 'teleported'",
        ):
            connection.execute(text(statement))
    with database.reading() as connection:
        ended = measurements.outcome_of(connection, JOB.id)
        past = device_history.history(connection, DEVICE.serial, None)
    assert ended == Failure(FailureKind.AGENT_ERROR, "melted: twice")
    assert past.failures == {FailureKind.AGENT_ERROR: 1}
    assert past.events == (DeviceEvent(1, EventKind.NOTED, "teleported: gone"),)


def test_a_measurement_that_is_excluded_is_found_no_more(database: Database) -> None:
    answer(database, "0", QUIET)
    with database.writing() as connection:
        jobs.end_with_measurement(connection, JOB, "m" * 32, (1.5, 2.0, 0.25), 9)
    Summarizer(database).complete()
    with database.writing() as connection:
        assert stored_measurements.decisions(connection, TARGET.id) == 0
        stored_measurements.exclude(connection, "m" * 32, "why", 10)

    def found(connection: Connection) -> tuple[bool, int, dict[str, int]]:
        known = measurements.find_measurement(connection, TARGET.id, PROGRAM.sha256, JOB.spec)
        learned = list(measurements.measured_networks(connection, TARGET.id))
        return known is not None, len(learned), devices.measurement_counts(connection)

    with database.writing() as connection:
        assert found(connection) == (False, 0, {})
        assert stored_measurements.current_exclusions(connection, ["m" * 32]) == {
            "m" * 32: Exclusion(10, "why")
        }
        assert stored_measurements.find(connection, "mmmmmm") == [("m" * 32, TARGET.id)]
        assert stored_measurements.find(connection, "m%") == []
        assert measurements.get_measurement(connection, "m" * 32) is not None
        assert measurements.look_up(connection, ["m" * 32]).keys() == {"m" * 32}
        stored_measurements.include(connection, "m" * 32, 11)
        assert found(connection) == (True, 1, {TARGET.id: 1})
        assert stored_measurements.current_exclusions(connection, ["m" * 32]) == {}
        assert stored_measurements.decisions(connection, TARGET.id) == 2


def test_a_writer_that_waited_too_long_gives_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.database.engine.TURN_TIMEOUT_S", -1)
    with pytest.raises(DatabaseBusy, match="came first"), database.writing():
        pass


@pytest.mark.parametrize("limit", ["BUSY_TIMEOUT_S", "STATEMENT_TIMEOUT_S"])
def test_postgresql_waits_for_no_lock_and_no_statement_for_ever(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    first = Database(postgresql_url)
    monkeypatch.setattr(f"host.database.connections.opening.{limit}", 0.05)
    second = Database(postgresql_url)
    with first.writing() as connection:
        connection.execute(schema.leases.delete())
        with pytest.raises(DatabaseBusy, match="busy"), second.writing() as rival:
            rival.execute(text("LOCK TABLE leases"))
    with second.writing() as connection:
        connection.execute(schema.leases.delete())
    first.close()
    second.close()


def test_a_server_that_stops_is_busy_and_not_damaged(postgresql_url: str) -> None:
    database, other = Database(postgresql_url), Database(postgresql_url)
    stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    def read_while_it_stops() -> None:
        with database.reading() as connection, other.reading() as killer:
            connection.execute(text("SELECT 1"))
            killer.execute(text(stop))
            connection.execute(text("SELECT 1"))

    def write_while_it_stops() -> None:
        with database.writing() as connection, other.reading() as killer:
            killer.execute(text(stop))
            connection.execute(schema.leases.delete())

    for use in (read_while_it_stops, write_while_it_stops):
        with pytest.raises(DatabaseBusy, match="busy"):
            use()
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    database.close()
    other.close()


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opening.CONNECT_ARGUMENTS, "connect_timeout", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StorageError, match="cannot open the database"):
            Database(f"postgresql+psycopg://lab:secret@127.0.0.1:{port}/lab")


def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "full.db"))
    large = replace(TARGET, os_build="x" * 99_999)

    def write() -> None:
        with database.writing() as connection:
            connection.execute(text("PRAGMA max_page_count = 1"))
            devices.register_target(connection, large)

    with pytest.raises(DiskFull, match="storage is full"):
        write()
    database.close()


def test_a_database_that_is_locked_is_busy_and_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.database.connections.opening.BUSY_TIMEOUT_S", 0)
    url = sqlite_url(tmp_path / "busy.db")
    first, second = Database(url), Database(url)
    with first.writing(), pytest.raises(DatabaseBusy, match="busy"), second.writing():
        pass
    with second.writing() as connection:
        devices.register_target(connection, TARGET)
    first.close()
    second.close()
