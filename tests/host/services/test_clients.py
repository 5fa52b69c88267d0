"""Both clients with the real server, over TLS: jobs, watches, pages, uploads and modes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.listening import choose_address
from host.home.paths import LabHome, sqlite_url
from host.measuring.breakdown import breakdown_of
from latlab.client.aio.client import AsyncLatencyClient
from latlab.client.client import LatencyClient
from latlab.client.requests import uploads
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import MeasuredLatency, Source
from latlab.domain.failure import Failure
from latlab.domain.job import JobPhase
from latlab.domain.program import ProgramFile
from latlab.domain.records.measurements import MeasurementOrder
from latlab.domain.records.predictions import QueryMode
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.services.test_elsewhere import free_address
from tests.host.stored_lab import (
    ORDINARY,
    SPEC,
    TOKEN,
    Stored,
    program_file,
    served,
    write_ordinary,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LatencyClient, list[Stored]]]:
    folder = tmp_path_factory.mktemp("lab")
    home, address = LabHome(folder / "home"), free_address()
    home.create()
    choose_address(home, address)
    database = Database(sqlite_url(folder / "lab.db"))
    stored = write_ordinary(database, folder)
    with (
        served(database, folder, home=home),
        LatencyClient(address, TOKEN, home.certificate_file.read_text()) as client,
    ):
        wait_until(lambda: any(status.devices for status in client.targets()))
        yield client, stored
    database.close()


@pytest.fixture
def client(lab: tuple[LatencyClient, list[Stored]]) -> LatencyClient:
    return lab[0]


@pytest.fixture
def stored(lab: tuple[LatencyClient, list[Stored]]) -> list[Stored]:
    return lab[1]


def asynchronous(client: LatencyClient) -> AsyncLatencyClient:
    endpoint = client._calls.endpoint
    return AsyncLatencyClient(endpoint.address, endpoint.token, endpoint.certificate)


def new_program(folder: Path, stored: list[Stored], name: str, size: int = 0) -> ProgramFile:
    return program_file(folder, name * max(1, size // len(name)), stored[0].network.kernels)


def ids_of(outcomes: Iterable[MeasuredLatency | Failure]) -> list[str]:
    """Of the outcomes that are measured."""
    return [one.measurement_id for one in outcomes if isinstance(one, MeasuredLatency)]


def test_a_job_is_created_watched_and_read(
    client: LatencyClient, stored: list[Stored], tmp_path: Path
) -> None:
    file = new_program(tmp_path, stored, "one")
    job = client.create_measurement(TARGET.id, file, SPEC)
    assert not job.phase.has_ended or job.phase is JobPhase.SUCCEEDED
    *_, last = client.watch_jobs([job.id])
    assert last.phase is JobPhase.SUCCEEDED
    assert isinstance(last.outcome, MeasuredLatency)
    assert last.outcome.estimate.latency_ns == 1_000_000
    assert client.job(job.id).outcome == last.outcome
    assert client.cancel_job(job.id).phase is JobPhase.SUCCEEDED  # it has ended

    id_ = last.outcome.measurement_id
    [visit] = client.visits(id_)
    assert len(client.samples(id_, visit.run_id).wall_ns) == visit.runs
    newest = next(client.query_measurements(target=TARGET.id))
    assert newest.id == id_
    with pytest.raises(NotFound):
        client.job("f" * 32)
    with pytest.raises(NotFound):
        list(client.watch_jobs(["f" * 32]))


def test_stored_measurements_come_page_by_page(client: LatencyClient, stored: list[Stored]) -> None:
    found = list(client.query_measurements(order=MeasurementOrder.FASTEST, page_size=5))
    assert len(found) >= ORDINARY
    assert len({each.id for each in found}) == len(found)
    latencies = [each.latency_ns or 0 for each in found]
    assert latencies == sorted(latencies)
    visits = list(client.visits(stored[0].id))
    assert len(visits) == 4
    traced = next(visit for visit in visits if visit.traced)
    assert client.samples(stored[0].id, traced.run_id).kernel_traces[0].name == "Add (ND)"


def test_the_queue_and_past_conditions_come_page_by_page(
    client: LatencyClient, stored: list[Stored], tmp_path: Path
) -> None:
    client.set_drained(DEVICE.serial, True)
    files = [new_program(tmp_path, stored, name) for name in ("first", "second")]
    jobs = [client.create_measurement(TARGET.id, file, SPEC).id for file in files]
    assert [job.id for job in client.queue(TARGET.name)] == jobs
    # The visits of the measurement with this number were asked for at this time.
    period = {"since_unix_ns": 1, "before_unix_ns": 3}
    conditions = list(client.past_conditions(DEVICE.serial, **period))
    assert len(conditions) == 2 * 2 * 4
    with pytest.raises(NotFound):
        list(client.queue("nowhere"))

    async def ask() -> None:
        async with asynchronous(client) as lab:
            assert [job.id async for job in lab.queue()] == jobs
            found = [each async for each in lab.past_conditions(DEVICE.serial, **period)]
            assert found == conditions

    asyncio.run(ask())
    client.set_drained(DEVICE.serial, False)


def test_a_stored_measurement_is_broken_down(client: LatencyClient, stored: list[Stored]) -> None:
    one = stored[0]
    found = client.breakdown(one.id)
    assert found == breakdown_of(one.file.program, client.measurement(one.id))
    assert found.paired_visits is not None
    assert "15 kernels, 1 in the trace" in found.untimed_because
    with pytest.raises(NotFound):
        client.breakdown("f" * 32)

    async def ask() -> None:
        async with asynchronous(client) as lab:
            assert await lab.breakdown(one.id) == found

    asyncio.run(ask())


def test_what_predictions_rest_on(client: LatencyClient) -> None:
    details = client.target(TARGET.id)
    assert details.status.target == TARGET
    assert details.kernel_kinds
    with pytest.raises(NotFound):
        client.target("nothing")


def test_programs_are_asked_for_by_hash(client: LatencyClient, stored: list[Stored]) -> None:
    sha256 = [each.file.program.sha256 for each in stored[:2]]
    measured = client.predict_programs(TARGET.id, sha256, QueryMode.MEASURED)
    assert {each.source for each in measured.estimates} == {Source.MEASURED}
    predicted = client.predict_programs(TARGET.id, sha256, QueryMode.PREDICTED)
    assert all(each.source is not Source.MEASURED for each in predicted.estimates)
    with pytest.raises((NotFound, InvalidRequest)):
        client.predict_programs(TARGET.id, ["0" * 64])


def test_a_large_program_is_uploaded(
    client: LatencyClient, stored: list[Stored], tmp_path: Path
) -> None:
    data = b"large" * (uploads.RESUMABLE_BYTES // 5 + 100)
    small = new_program(tmp_path, stored, "x")
    path = tmp_path / "large.pte"
    path.write_bytes(data)
    program = replace(small.program, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    job = client.create_measurement(TARGET.id, ProgramFile(program, path), SPEC)
    *_, last = client.watch_jobs([job.id])
    assert last.phase is JobPhase.SUCCEEDED


def test_asyncio(client: LatencyClient, stored: list[Stored], tmp_path: Path) -> None:
    files = [new_program(tmp_path, stored, name) for name in ("a1", "a2", "a3")]
    seen: list[JobPhase] = []

    async def ask() -> None:
        async with asynchronous(client) as lab:
            outcomes = await lab.measure(
                TARGET.id, files, SPEC, on_status=lambda status: seen.append(status.phase)
            )
            again = await lab.measure(TARGET.id, files, SPEC)
            assert ids_of(outcomes) == ids_of(again)
            assert len(ids_of(outcomes)) == 3
            [estimate] = await lab.predict(TARGET.id, [stored[0].network.kernels])
            assert estimate.latency_ns > 0
            found = [each async for each in lab.query_measurements(page_size=4)]
            assert len(found) >= ORDINARY + 3

    asyncio.run(ask())
