"""Uploads that stop and go on elsewhere, over gRPC."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from host.database import devices
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.programs.partial_uploads import KEPT_S, PartialUploads
from latlab.domain.errors import InvalidRequest, TooLarge, WrongOffset
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import TOKEN, served

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()
TOKENS = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[LatencyServiceStub]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
    with served(database, tmp_path) as (address, _), grpc.insecure_channel(address) as channel:
        yield LatencyServiceStub(channel)
    database.close()


def start(offset: int = 0, sha256: str = SHA256, size: int = len(DATA)) -> bytes:
    program = latency_pb2.Program(sha256=sha256, size_bytes=size, backend="xnnpack")
    request = latency_pb2.UploadStart(program=program, offset_bytes=offset)
    return latency_pb2.WriteProgramRequest(start=request)  # type: ignore[return-value]


def chunk(data: bytes) -> latency_pb2.WriteProgramRequest:
    return latency_pb2.WriteProgramRequest(chunk=data)


def write(
    stub: LatencyServiceStub, *data: bytes, offset: int = 0, **announced: object
) -> latency_pb2.Upload:
    parts = [start(offset, **announced), *map(chunk, data)]  # type: ignore[arg-type]
    return stub.WriteProgram(iter(parts), metadata=TOKENS, timeout=60)  # type: ignore[arg-type]


def received(stub: LatencyServiceStub, sha256: str = SHA256) -> tuple[int, bool]:
    request = latency_pb2.GetUploadRequest(program_sha256=sha256)
    upload = stub.GetUpload(request, metadata=TOKENS, timeout=60)
    return upload.received_bytes, upload.complete


def refused(stub: LatencyServiceStub, *data: bytes, **kinds: object) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        write(stub, *data, **kinds)  # type: ignore[arg-type]
    return error.value.code()


def test_an_upload_stops_and_another_client_goes_on(
    stub: LatencyServiceStub, tmp_path: Path
) -> None:
    assert received(stub) == (0, False)
    stopped = write(stub, DATA[:1000], DATA[1000:3000])
    assert (stopped.received_bytes, stopped.complete) == (3000, False)
    assert received(stub) == (3000, False)
    assert not (tmp_path / "programs" / f"{SHA256}.pte").exists()
    for wrong in (0, 2999, 3001):
        assert refused(stub, DATA[wrong:], offset=wrong) is grpc.StatusCode.OUT_OF_RANGE
    whole = write(stub, DATA[3000:], offset=3000)
    assert (whole.received_bytes, whole.complete) == (len(DATA), True)
    assert received(stub) == (len(DATA), True)
    assert (tmp_path / "programs" / f"{SHA256}.pte").read_bytes() == DATA
    assert not any((tmp_path / "programs" / "unfinished").iterdir())
    assert write(stub).complete  # it is there already, whatever is sent


def test_what_a_broken_call_has_sent_is_kept(stub: LatencyServiceStub) -> None:
    def parts() -> Iterator[latency_pb2.WriteProgramRequest]:
        yield start()  # type: ignore[misc]
        yield chunk(DATA[:500])
        while received(stub)[0] < 500:
            time.sleep(0.01)
        raise RuntimeError("the client dies")

    with pytest.raises(grpc.RpcError):
        stub.WriteProgram(parts(), metadata=TOKENS, timeout=60)
    assert received(stub) == (500, False)
    assert write(stub, DATA[500:], offset=500).complete


def test_bytes_of_another_program_are_forgotten(stub: LatencyServiceStub) -> None:
    assert refused(stub, DATA[1:], b"x") is grpc.StatusCode.INVALID_ARGUMENT
    assert received(stub) == (0, False)
    assert write(stub, DATA).complete


@pytest.mark.parametrize(
    ("announced", "code"),
    [
        ({"sha256": "../../etc/passwd"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"size": 1 << 40}, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ({"size": 10}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_what_is_no_upload_is_refused(
    stub: LatencyServiceStub, announced: dict[str, object], code: grpc.StatusCode
) -> None:
    assert refused(stub, DATA, **announced) is code
    assert received(stub) == (0, False)


def test_an_upload_without_a_start_or_with_two_is_refused(stub: LatencyServiceStub) -> None:
    for parts in ([chunk(DATA)], [], [start(), start()]):
        with pytest.raises(grpc.RpcError) as error:
            stub.WriteProgram(iter(parts), metadata=TOKENS, timeout=60)  # type: ignore[arg-type]
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_two_clients_send_the_same_program_at_once(tmp_path: Path) -> None:
    uploads = PartialUploads(tmp_path)
    with uploads.writing(SHA256, 10, 0) as first, uploads.writing(SHA256, 10, 0) as second:
        assert not first.write(b"0123")
        assert not second.write(b"01")
        assert not second.write(b"2345")
        assert uploads.received_bytes(SHA256) == 6
        assert not first.write(b"45")
        assert second.write(b"6789")
        assert first.write(b"6789")
    assert uploads.path(SHA256).read_bytes() == b"0123456789"


def test_unfinished_uploads_are_kept_for_a_day_in_bounded_space(tmp_path: Path) -> None:
    uploads = PartialUploads(tmp_path, max_total_bytes=10)
    names = [f"{number:064x}" for number in range(3)]
    for place, name in enumerate(names):
        with uploads.writing(name, 5, 0) as writer:
            writer.write(b"0123")
        os.utime(uploads.path(name), (time.time() + place, time.time() + place))
    assert [uploads.received_bytes(name) for name in names] == [0, 4, 4]
    long_ago = time.time() - KEPT_S - 1
    os.utime(uploads.path(names[1]), (long_ago, long_ago))
    assert [uploads.received_bytes(name) for name in names] == [0, 0, 4]
    with pytest.raises(TooLarge), uploads.writing(names[0], 11, 0):
        pass
    with pytest.raises(WrongOffset), uploads.writing(names[0], 5, 4):
        pass
    with uploads.writing(names[0], 5, 0) as writer, pytest.raises(InvalidRequest):
        writer.write(b"012345")
