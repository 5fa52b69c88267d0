"""Who did what is written down, beside the calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Connection

from host.database.access import audit
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.access import audit_log
from host.services.access.audit_log import AuditLog
from latlab.client.client import LatencyClient
from latlab.convert.latency import spec_to_message
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import Scope
from latlab.domain.device import DevicePhase
from latlab.domain.errors import DiskFull, LabError
from latlab.v1 import access_pb2, latency_pb2
from latlab.v1.access_pb2_grpc import AccessServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.services.access.conftest import TeamLab
from tests.host.stored_lab import SPEC, TOKEN, served, write_ordinary

TIMEOUT_S = 60.0


def entry(number: int, *, refused: bool = False) -> AuditEntry:
    status = "PERMISSION_DENIED" if refused else "OK"
    return AuditEntry(number, "ann", "id", "LabService/SetNote", "", status, "", refused)


def entries(database: Database, limit: int = 100) -> list[AuditEntry]:
    with database.reading() as connection:
        return [found for _, found in audit.list_entries(connection, limit)]


def test_changes_and_refusals_are_noted_and_reading_is_not(lab: TeamLab) -> None:
    token, client = lab.member(Scope.READ, Scope.OPERATE, Scope.MEASURE, owner="ann")
    client.targets()
    client.set_note(DEVICE.serial, "desk")
    client.measure(TARGET.id, [lab.stored[0].file], SPEC)
    with pytest.raises(LabError):
        client.predict(TARGET.id, [lab.stored[0].network.kernels])
    with pytest.raises(LabError):
        client.set_drained("no such device", True)
    noted = list(lab.admin.access.audit("ann"))
    assert {each.owner for each in noted} == {"ann"}
    assert {each.token_id for each in noted} == {token.id}
    assert [(each.method, each.resource, each.status, each.was_refused) for each in noted] == [
        ("LabService/SetDrained", "no such device", "NOT_FOUND", False),
        ("LatencyService/Predict", "", "PERMISSION_DENIED", True),
        ("LatencyService/Measure", lab.stored[0].file.program.sha256, "OK", False),
        ("LatencyService/UploadProgram", lab.stored[0].file.program.sha256, "OK", False),
        ("LabService/SetNote", DEVICE.serial, "OK", False),
    ]
    assert len({each.request_id for each in noted}) == len(noted)
    assert [each.unix_ns for each in noted] == sorted((e.unix_ns for e in noted), reverse=True)
    [made] = lab.admin.access.audit("local")
    assert (made.method, made.resource) == ("AccessService/CreateToken", f"tokens/{token.id}")
    since_ns = noted[1].unix_ns
    assert list(lab.admin.access.audit("ann", since_ns)) == noted[:2]


def test_strangers_are_noted_but_cannot_flood_the_log(lab: TeamLab) -> None:
    stranger = lab.client("latlab_of_another_database")
    for _ in range(40):
        with pytest.raises(LabError):
            stranger.targets()
    noted = [each for each in lab.admin.access.audit() if each.was_refused]
    assert 1 <= len(noted) < 40
    assert {(each.owner, each.token_id, each.status) for each in noted} == {
        ("", "", "UNAUTHENTICATED")
    }


def test_whose_token_was_refused_is_noted(lab: TeamLab) -> None:
    token, client = lab.member(Scope.READ, owner="ann")
    lab.admin.access.revoke_token(token.id)
    with pytest.raises(LabError):
        client.targets()
    [noted] = lab.admin.access.audit("ann")
    assert (noted.token_id, noted.status) == (token.id, "UNAUTHENTICATED")


def test_the_log_is_listed_by_page(lab: TeamLab, database: Database) -> None:
    with database.writing() as connection:
        audit.add_entries(connection, [entry(number) for number in range(1, 8)])
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(lab.address) as channel:
        list_entries = AccessServiceStub(channel).ListAuditEntries
        request, found = access_pb2.ListAuditEntriesRequest(page_size=3, owner="ann"), []
        while True:
            page = list_entries(request, metadata=metadata, timeout=TIMEOUT_S)
            found += [each.unix_ns for each in page.entries]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
            kept = page.next_page_token
        assert found == [7, 6, 5, 4, 3, 2, 1]
        request.page_token, request.owner = kept, "bob"  # of another list
        with pytest.raises(grpc.RpcError, match="page token") as refused:
            list_entries(request, metadata=metadata, timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_clients_send_has_no_effect_where_it_is_shown(lab: TeamLab) -> None:
    with pytest.raises(LabError):
        lab.admin.set_note("\x1b[31mred\n" + "x" * 500, "")
    [noted] = lab.admin.access.audit()
    assert noted.resource.isprintable()
    assert len(noted.resource) <= 200


def test_a_stream_that_its_client_leaves_is_noted(lab: TeamLab) -> None:
    lab.admin.set_drained(DEVICE.serial, True)
    wait_until(lambda: lab.admin.devices()[0].state.phase is DevicePhase.DRAINED)
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    gone = threading.Event()
    request = latency_pb2.MeasureRequest(
        target=TARGET.id,
        program_sha256=[lab.stored[0].file.program.sha256],
        spec=spec_to_message(SPEC),
        fresh=True,
    )

    def requests() -> Iterator[latency_pb2.MeasureRequest]:
        yield request
        gone.wait(TIMEOUT_S)

    with grpc.insecure_channel(lab.address) as channel:
        call = LatencyServiceStub(channel).Measure(requests(), metadata=metadata)
        wait_until(lambda: lab.admin.jobs(10)[1] == 1)
        call.cancel()
    gone.set()

    def statuses() -> list[str]:
        audit = lab.admin.access.audit()
        return [each.status for each in audit if each.method.endswith("Measure")]

    wait_until(lambda: bool(statuses()))
    assert statuses() == ["CANCELLED"]


def test_calls_that_the_end_of_the_lab_cancels_are_noted(
    database: Database, tmp_path: Path
) -> None:
    stored = write_ordinary(database, tmp_path, count=1)
    errors: list[LabError] = []
    with served(database, tmp_path) as (address, _), LatencyClient(address, TOKEN) as client:
        client.set_drained(DEVICE.serial, True)
        wait_until(lambda: client.devices()[0].state.phase is DevicePhase.DRAINED)

        def measure() -> None:
            try:
                client.measure(TARGET.id, [stored[0].file], SPEC, fresh=True)
            except LabError as error:
                errors.append(error)

        measuring = threading.Thread(target=measure)
        measuring.start()
        wait_until(lambda: client.jobs(10)[1] == 1)
    measuring.join(TIMEOUT_S)
    assert len(errors) == 1
    noted = [each.status for each in entries(database) if each.method.endswith("Measure")]
    assert noted == ["CANCELLED"]


@contextmanager
def failing(database: Database, error: Exception) -> Iterator[threading.Event]:
    """A database that refuses to write until the block ends. The event: it has refused."""
    refused = threading.Event()

    @contextmanager
    def writing(self: Database) -> Iterator[Connection]:
        refused.set()
        raise error
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "writing", writing)
        yield refused


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "RETRY_S", 0.01)


@pytest.mark.usefixtures("quick")
def test_entries_wait_while_the_database_refuses_them(database: Database) -> None:
    log = AuditLog(database)
    with failing(database, DiskFull("full")) as refused:
        log.put(entry(1))
        assert refused.wait(TIMEOUT_S)
        log.put(entry(2))
    log.close()
    assert [each.unix_ns for each in entries(database)] == [2, 1]


@pytest.mark.usefixtures("quick")
def test_an_orderly_stop_loses_nothing_unless_the_database_stays_away(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(database)
    for number in range(3_000):
        log.put(entry(number))
    log.close()
    assert [each.unix_ns for each in entries(database, 5_000)] == list(reversed(range(3_000)))
    monkeypatch.setattr(audit_log, "STOP_S", 0.05)
    log = AuditLog(database)
    with failing(database, DiskFull("full")), caplog.at_level(logging.ERROR):
        log.put(entry(1))
        log.close()
    assert "1 entries of the audit log are lost: full" in caplog.text


@pytest.mark.usefixtures("quick")
def test_calls_never_wait_for_a_full_log(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_log, "MAX_WAITING", 5)
    log = AuditLog(database)
    with failing(database, DiskFull("full")) as refused:
        log.put(entry(0))
        assert refused.wait(TIMEOUT_S)
        for number in range(1, 20):
            log.put(entry(number))
    with caplog.at_level(logging.ERROR):
        log.close()
    assert [each.unix_ns for each in entries(database)] == [5, 4, 3, 2, 1, 0]
    assert "14 entries of the audit log are lost" in caplog.text


def test_a_defect_costs_the_entries_at_hand_and_no_others(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(database)
    with failing(database, KeyError("defect")) as refused, caplog.at_level(logging.ERROR):
        log.put(entry(1))
        assert refused.wait(TIMEOUT_S)
        log.flush(TIMEOUT_S)
    log.put(entry(2))
    log.close()
    assert [each.unix_ns for each in entries(database)] == [2]


def test_calls_work_where_the_log_cannot_be_written(database: Database, tmp_path: Path) -> None:
    with served(database, tmp_path) as (address, _), LatencyClient(address, TOKEN) as client:
        with pytest.MonkeyPatch.context() as patch:

            def refuse(connection: Connection, of: object) -> None:
                raise DiskFull("full")

            patch.setattr(audit, "add_entries", refuse)
            assert client.access.create_token("ann", [Scope.READ])
        assert len(list(client.access.audit())) == 1


def test_floods_of_refusals_do_not_push_out_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_url(tmp_path / "small.db"))
    monkeypatch.setattr(audit, "KEPT_CHANGES", 4)
    monkeypatch.setattr(audit, "KEPT_REFUSALS", 2)
    with database.writing() as connection:
        audit.add_entries(connection, [entry(number) for number in range(6)])
        audit.add_entries(connection, [entry(number, refused=True) for number in range(10, 20)])
        audit.drop_oldest(connection)
    assert [each.unix_ns for each in entries(database)] == [19, 18, 5, 4, 3, 2]
    with database.writing() as connection:
        audit.drop_oldest(connection)
    assert len(entries(database)) == 6
    database.close()
