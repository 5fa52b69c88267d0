"""Both clients, blocking and asyncio, with a lab that answers from memory and fails when told."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from latlab.client.aio.client import AsyncLatencyClient
from latlab.client.client import LatencyClient
from latlab.client.connection.retries import MAX_CALLS
from latlab.client.requests import uploads
from latlab.client.requests.job_watch import MAX_WATCHED
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import (
    InvalidRequest,
    LabError,
    LimitReached,
    NotFound,
    NotReady,
    TooLarge,
    Unavailable,
)
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.job import JobPhase
from latlab.domain.kernel import Kernel
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.domain.records.measurements import MeasurementOrder
from latlab.domain.records.predictions import QueryMode
from latlab.v1 import latency_pb2
from tests.latlab.client.fake_servicer import (
    BROKEN,
    FULL,
    MEASUREMENTS,
    TARGET,
    TOKEN,
    FakeServicer,
    Refusal,
    served,
)

Client: TypeAlias = Any  # a LatencyClient, or what Blocking makes of the other client

KERNEL = Kernel("conv", ((1, 3, 8, 8),), (1, 8, 8, 8), (3, 3), (1, 1), 1, 1)


class Blocking:
    """An asyncio client whose methods are run to their end, so that one test serves both."""

    def __init__(self, address: str) -> None:
        self.loop = _loop()
        self.client = AsyncLatencyClient(address, TOKEN)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        def call(*args: object, **options: object) -> object:
            found = method(*args, **options)
            if inspect.isasyncgen(found):
                return iter(self.loop.run_until_complete(_all(found)))
            return self.loop.run_until_complete(found)

        return call

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.client.close())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all tests: grpc.aio complains in the log of loops that are closed."""
    return asyncio.new_event_loop()


async def _all(answers: AsyncIterator[object]) -> list[object]:
    return [answer async for answer in answers]


@pytest.fixture
def servicer() -> FakeServicer:
    return FakeServicer()  # type: ignore[abstract]  # it serves what these tests ask for


@pytest.fixture
def address(servicer: FakeServicer) -> Iterator[str]:
    with served(servicer) as address:
        yield address


@pytest.fixture(params=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest, address: str) -> Iterator[Client]:
    with (
        LatencyClient(address, TOKEN)
        if request.param == "blocking"
        else Blocking(address) as client
    ):
        yield client


def program_file(folder: Path, size: int = 100) -> ProgramFile:
    data = bytes(range(256)) * (size // 256 + 1)
    path = folder / "program.pte"
    path.write_bytes(data[:size])
    sha256 = hashlib.sha256(data[:size]).hexdigest()
    return ProgramFile(Program(sha256, size, "xnnpack", (TensorSpec((1, 8)),), (), (), "t"), path)


def test_targets_and_predictions(client: Client, servicer: FakeServicer) -> None:
    [status] = client.targets()
    assert status.target == TARGET
    details = client.target(TARGET.id)
    assert (details.noise_floor, details.newest_age_s) == (0.01, None)
    assert details.kernel_kinds == {"conv": 3}
    estimates = client.predict(TARGET.id, [[KERNEL, KERNEL], [KERNEL]])
    assert [estimate.latency_ns for estimate in estimates] == [5, 5]
    assert list(servicer.requests[-1].lengths) == [2, 1]


def test_programs_are_predicted_by_their_hash(client: Client, servicer: FakeServicer) -> None:
    found = client.predict_programs(TARGET.id, ["a" * 64], QueryMode.AUTO, max_half_width=0.05)
    assert found.queued_jobs == ("abc",)
    assert servicer.requests[-1].mode == latency_pb2.QUERY_MODE_AUTO
    found = client.predict_programs(TARGET.id, ["a" * 64, "b" * 64], QueryMode.MEASURED)
    assert len(found.estimates) == 2
    assert not servicer.requests[-1].HasField("max_half_width")
    servicer.is_old = True
    with pytest.raises(InvalidRequest, match="older version"):
        client.predict_programs(TARGET.id, ["a" * 64])


def test_a_measurement_is_asked_for_watched_and_cancelled(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    file = program_file(tmp_path)
    job = client.create_measurement(TARGET.id, file, BenchmarkSpec.quick(), priority=3)
    assert (job.phase, job.priority, job.spec) == (JobPhase.QUEUED, 3, BenchmarkSpec.quick())
    assert servicer.stored[file.program.sha256] == file.path.read_bytes()
    uuid.UUID(servicer.requests[-1].request_id)
    other = client.create_measurement(TARGET.id, file.program.sha256)
    assert other.id != job.id  # each call is a request of its own
    assert client.job(job.id) == client.job(f"jobs/{job.id}") == job

    seen = [(status.id, status.phase) for status in client.watch_jobs([job.id, other.id])]
    ends = [(job.id, JobPhase.SUCCEEDED), (other.id, JobPhase.SUCCEEDED)]
    assert seen == [(job.id, JobPhase.RUNNING), (other.id, JobPhase.RUNNING), *ends]
    assert client.cancel_job(job.id).phase is JobPhase.CANCELLED
    with pytest.raises(NotFound, match="no such job"):
        client.job("nothing")
    with pytest.raises(NotFound, match="no such program"):
        client.create_measurement(TARGET.id, "c" * 64)


def test_a_request_that_is_sent_twice_is_one(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    file = program_file(tmp_path)
    servicer.refusals["CreateMeasurement"] = deque([BROKEN, FULL])
    client.create_measurement(TARGET.id, file)
    assert servicer.called["CreateMeasurement"] == 3
    assert len(servicer.jobs) == len({request.request_id for request in servicer.requests}) == 1


@pytest.mark.parametrize(
    ("refusal", "kind", "calls"),
    [
        (Refusal(grpc.StatusCode.PERMISSION_DENIED, 0.01), LabError, 1),
        (Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, None, "DiskFull"), LabError, 1),
        (Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, 3600.0, "LimitReached"), LimitReached, 1),
        (Refusal(grpc.StatusCode.UNAVAILABLE, None, "Unavailable"), Unavailable, 1),
        (FULL, LimitReached, MAX_CALLS),
    ],
)
def test_calls_are_made_again_a_bounded_number_of_times(
    client: Client, servicer: FakeServicer, refusal: Refusal, kind: type[LabError], calls: int
) -> None:
    servicer.refusals["ListTargets"] = deque([refusal] * 20)
    with pytest.raises(kind):
        client.targets()
    assert servicer.called["ListTargets"] == calls


@pytest.mark.parametrize("breaks", [[0, 1, 2], [1, 1, 1], [3]])
def test_a_watch_goes_on_where_it_broke_off(
    client: Client, servicer: FakeServicer, tmp_path: Path, breaks: list[int]
) -> None:
    file = program_file(tmp_path)
    jobs = [client.create_measurement(TARGET.id, file).id for _ in range(2)]
    servicer.streams.extend(breaks)
    servicer.requests.clear()
    seen = [status.id for status in client.watch_jobs(jobs)]
    assert seen == [*jobs, *jobs]  # nothing is lost, and nothing told twice
    tokens = [request.resume_token for request in servicer.requests]
    assert tokens[0] == ""
    assert tokens[-1] == str(sum(breaks))


def test_a_watch_of_a_lab_that_was_restored_begins_again(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    job = client.create_measurement(TARGET.id, program_file(tmp_path)).id
    servicer.streams.append(1)
    servicer.foreign_tokens.append("1")
    phases = [status.phase for status in client.watch_jobs([job])]
    assert phases == [JobPhase.RUNNING, JobPhase.RUNNING, JobPhase.SUCCEEDED]


def test_a_watch_ends_when_the_lab_is_away_for_too_long(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    job = client.create_measurement(TARGET.id, program_file(tmp_path)).id
    servicer.streams.extend([0] * 1000)
    with pytest.raises(Unavailable):
        list(client.watch_jobs([job], patience_s=0.5))
    assert servicer.called["WatchJobs"] > 1
    refused = Refusal(grpc.StatusCode.NOT_FOUND, None, "NotFound")
    servicer.refusals["WatchJobs"] = deque([refused])
    with pytest.raises(NotFound):
        list(client.watch_jobs([job]))
    with pytest.raises(TooLarge, match="at a time"):
        list(client.watch_jobs([str(number) for number in range(MAX_WATCHED + 1)]))


def test_measurements_visits_and_samples_come_page_by_page(
    client: Client, servicer: FakeServicer
) -> None:
    servicer.refusals["QueryMeasurements"] = deque([BROKEN])
    found = list(client.query_measurements(target="t", order=MeasurementOrder.SLOWEST))
    assert [each.id for each in found] == [str(number) for number in range(MEASUREMENTS)]
    assert {request.order for request in servicer.requests} == {
        latency_pb2.MEASUREMENT_ORDER_SLOWEST
    }
    assert [visit.run_id for visit in client.visits("m")] == [
        "measurements/m-0",
        "measurements/m-1",
    ]
    samples = client.samples("m", "run")
    assert samples.wall_ns == (0, 1, 2, 3)
    [trace] = samples.kernel_traces
    assert (trace.durations_ns, trace.instruction) == ((0, 1, 2, 3), 4)


LARGE = uploads.RESUMABLE_BYTES + 1000


@pytest.mark.parametrize("breaks", [[], [1 << 20], [1 << 20, 2 << 20, 4 << 20]])
def test_a_broken_upload_goes_on_where_it_was(
    client: Client, servicer: FakeServicer, tmp_path: Path, breaks: list[int]
) -> None:
    file = program_file(tmp_path, LARGE)
    servicer.broken_bytes.extend(breaks)
    client.create_measurement(TARGET.id, file)
    assert servicer.stored[file.program.sha256] == file.path.read_bytes()
    assert servicer.offsets == [0, *breaks]
    client.create_measurement(TARGET.id, file)  # the lab has it
    assert len(servicer.offsets) == 1 + len(breaks)


def test_an_upload_beside_another_one_asks_where_to_go_on(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    file = program_file(tmp_path, LARGE)
    data, sha256 = file.path.read_bytes(), file.program.sha256

    class Moving(dict[str, bytes]):
        """Another client has sent a part by the second look."""

        looks = 0

        def get(self, key: str, default: object = None) -> bytes:
            self.looks += 1
            return data[: 1 << 20] if self.looks > 1 else b""

    servicer.partial = Moving()
    client.create_measurement(TARGET.id, file)
    assert servicer.offsets == [0, 1 << 20]
    assert servicer.stored[sha256] == data


def test_a_lab_of_before_takes_programs_at_once(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    servicer.is_old = True
    file = program_file(tmp_path, LARGE)
    client.create_measurement(TARGET.id, file)
    assert servicer.called["UploadProgram"] == 1
    assert servicer.stored[file.program.sha256] == file.path.read_bytes()


def test_an_upload_that_is_refused_midway_says_why(
    client: Client, servicer: FakeServicer, tmp_path: Path
) -> None:
    servicer.too_large = True
    with pytest.raises(TooLarge, match="as large as it may be"):
        client.create_measurement(TARGET.id, program_file(tmp_path, LARGE))


def test_a_lab_of_before_is_named(client: Client, servicer: FakeServicer) -> None:
    servicer.refusals["GetTarget"] = deque([Refusal(grpc.StatusCode.UNIMPLEMENTED)])
    with pytest.raises(NotReady, match="older version"):
        client.target(TARGET.id)


def test_a_measurement_in_one_line(address: str, servicer: FakeServicer, tmp_path: Path) -> None:
    file = program_file(tmp_path)
    servicer.streams.append(1)
    phases: list[JobPhase] = []

    async def measure() -> list[MeasuredLatency | Failure]:
        async with AsyncLatencyClient(address, TOKEN) as lab:
            return await lab.measure(
                TARGET.id, [file, file], on_status=lambda status: phases.append(status.phase)
            )

    outcomes = asyncio.run(measure())
    ids = [each.measurement_id for each in outcomes if isinstance(each, MeasuredLatency)]
    assert ids == ["m-jobs/job0", "m-jobs/job1"]
    assert phases == [JobPhase.RUNNING] * 2 + [JobPhase.SUCCEEDED] * 2


def test_many_tasks_share_a_client(address: str, servicer: FakeServicer) -> None:
    async def ask() -> int:
        async with AsyncLatencyClient(address, TOKEN) as lab:
            found = await asyncio.gather(*(lab.targets() for _ in range(50)))
        return len(found)

    assert asyncio.run(ask()) == 50


def test_a_task_that_is_cancelled_leaves_the_client_usable(
    address: str, servicer: FakeServicer
) -> None:
    servicer.refusals["ListTargets"] = deque([Refusal(BROKEN.status, 20.0, "DatabaseBusy")])

    async def ask() -> int:
        async with AsyncLatencyClient(address, TOKEN) as lab:
            waiting = asyncio.create_task(lab.targets())
            while not servicer.called.get("ListTargets"):
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return len(await lab.targets())

    assert asyncio.run(ask()) == 1


def test_a_lab_that_restarts_is_found_again(servicer: FakeServicer) -> None:
    with served(servicer) as address, LatencyClient(address, TOKEN) as client:
        client.targets()
        port = int(address.rpartition(":")[2])
    with LatencyClient(address, TOKEN) as client:
        with pytest.raises(Unavailable, match=f"no lab answers at {address}"):
            client.targets()
        with served(servicer, port):
            assert len(client.targets()) == 1
