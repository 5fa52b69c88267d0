"""The methods about jobs over gRPC, on a lab whose device answers at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.convert.latency import program_to_message, spec_to_message
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, TOKEN, Stored, served, write_ordinary


class Service:
    """A lab of stored programs, and its stub."""

    def __init__(self, address: str, stored: list[Stored]) -> None:
        self.address, self.stored = address, stored
        self.token = (("authorization", f"Bearer {TOKEN}"),)
        self.channel = grpc.insecure_channel(address)
        self.stub = LatencyServiceStub(self.channel)

    def create(self, number: int = 0, **fields: object) -> latency_pb2.Job:
        request = latency_pb2.CreateMeasurementRequest(
            target=TARGET.name,
            program_sha256=self.stored[number].file.program.sha256,
            spec=spec_to_message(SPEC),
            **fields,  # type: ignore[arg-type]
        )
        return self.stub.CreateMeasurement(request, metadata=self.token, timeout=60)

    def upload(self, number: int = 0) -> None:
        file = self.stored[number].file
        parts = (
            latency_pb2.UploadRequest(program=program_to_message(file.program)),
            latency_pb2.UploadRequest(chunk=file.path.read_bytes()),
        )
        self.stub.UploadProgram(iter(parts), metadata=self.token, timeout=60)

    def get(self, name: str) -> latency_pb2.Job:
        return self.stub.GetJob(
            latency_pb2.GetJobRequest(name=name), metadata=self.token, timeout=60
        )

    def watch(self, *names: str, resume: str = "") -> Iterator[latency_pb2.WatchJobsResponse]:
        request = latency_pb2.WatchJobsRequest(names=names, resume_token=resume)
        return self.stub.WatchJobs(request, metadata=self.token, timeout=60)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path, count=4)
    with served(database, tmp_path) as (address, _):
        service = Service(address, stored)
        yield service
        service.channel.close()
    database.close()


def code_of(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    return error.value.code()


def test_a_measurement_is_created_watched_and_found_again(service: Service) -> None:
    service.upload()
    created = service.create(fresh=True, request_id=str(uuid.uuid4()))
    assert created.name.startswith("jobs/")
    assert created.target == TARGET.id
    states = [news.job for news in service.watch(created.name)]
    assert states[-1].state == latency_pb2.JOB_STATE_SUCCEEDED
    assert states[-1].measured.measurement_id
    again = service.get(created.name)
    assert again.measured.measurement_id == states[-1].measured.measurement_id
    assert again.ended_unix_ns > 0
    assert service.create().name == created.name  # it is stored by now
    known = service.create(1)
    assert known.state == latency_pb2.JOB_STATE_SUCCEEDED


def test_a_job_is_cancelled(service: Service) -> None:
    with LatencyClient(service.address, TOKEN) as client:
        client.set_drained(DEVICE.serial, True)
    created = service.create(fresh=True)
    news = service.watch(created.name)
    while next(news).job.wait_reason != latency_pb2.WAIT_REASON_DEVICE_NOT_READY:
        pass  # the device had the job until it heard that it is drained
    request = latency_pb2.CancelJobRequest(name=created.name)
    cancelled = service.stub.CancelJob(request, metadata=service.token, timeout=60)
    assert cancelled.state == latency_pb2.JOB_STATE_CANCELLED
    # What it waited for may have changed once more before.
    *before, last = [each.job.state for each in news]
    assert set(before) <= {latency_pb2.JOB_STATE_QUEUED}
    assert last == latency_pb2.JOB_STATE_CANCELLED


def test_a_stream_goes_on_where_it_stopped(service: Service) -> None:
    with LatencyClient(service.address, TOKEN) as client:
        client.set_drained(DEVICE.serial, True)
    names = [service.create(number, fresh=True).name for number in (0, 1)]
    news = service.watch(*names)
    token = [next(news), next(news)][-1].resume_token
    news.cancel()  # type: ignore[attr-defined]
    for name in names:
        service.stub.CancelJob(
            latency_pb2.CancelJobRequest(name=name), metadata=service.token, timeout=60
        )
    resumed = list(service.watch(*names, resume=token))
    assert [each.job.name for each in resumed] == names
    assert list(service.watch(*names, resume=resumed[-1].resume_token)) == []
    with pytest.raises(grpc.RpcError) as refused:
        list(service.watch(names[0], resume=token))
    assert code_of(refused) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"request_id": "one"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"program_sha256": "ab" * 32}, grpc.StatusCode.NOT_FOUND),
        ({"program_sha256": "../etc"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"target": "nowhere"}, grpc.StatusCode.NOT_FOUND),
        ({"spec": latency_pb2.BenchmarkSpec()}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    service: Service, fields: dict[str, object], code: grpc.StatusCode
) -> None:
    request = latency_pb2.CreateMeasurementRequest(
        target=TARGET.id, program_sha256=service.stored[0].file.program.sha256
    )
    for name, value in fields.items():
        if name == "spec":
            request.spec.CopyFrom(value)  # type: ignore[arg-type]
        else:
            setattr(request, name, value)
    with pytest.raises(grpc.RpcError) as refused:
        service.stub.CreateMeasurement(request, metadata=service.token, timeout=60)
    assert code_of(refused) is code


@pytest.mark.parametrize("name", ["jobs/" + "f" * 32, "jobs/", "f" * 32, "jobs/'; drop"])
def test_a_job_that_there_is_not_is_refused(service: Service, name: str) -> None:
    is_name = name == "jobs/" + "f" * 32
    expected = grpc.StatusCode.NOT_FOUND if is_name else grpc.StatusCode.INVALID_ARGUMENT
    for call in (lambda: service.get(name), lambda: list(service.watch(name))):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert code_of(refused) is expected
