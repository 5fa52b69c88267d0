"""A daemon among hostile clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from host.database.engine import Database
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.host.stored_lab import TOKEN, served
from tests.hostile_connections import HostileConnections, kinds_for_daemon
from tests.hostile_requests import Target, attack
from tests.hostile_targets import daemon_target

METADATA = (("authorization", f"Bearer {TOKEN}"),)
TIMEOUT_S = 60.0
CONNECTIONS = 130  # ten of each kind; 40 calls once took all threads
REQUESTS = 300
SLOW = ("/Refit", "/Predict", "/LookUp")  # they wait for fits


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with daemon_target(tmp_path_factory.mktemp("daemon")) as target:
        yield target


def test_idle_and_slow_connections_silence_nobody(daemon: Target) -> None:
    list_targets = LatencyServiceStub(daemon.channel).ListTargets
    metadata = (("authorization", f"Bearer {daemon.token}"),)
    with HostileConnections(daemon.port, kinds_for_daemon(daemon.token), CONNECTIONS):
        for _ in range(20):
            request = latency_pb2.ListTargetsRequest()
            assert list_targets(request, metadata=metadata, timeout=TIMEOUT_S).targets


def test_hostile_requests_are_refused_without_a_trace(daemon: Target) -> None:
    quick = [rpc for rpc in daemon.rpcs if not rpc.name.endswith(SLOW)]
    assert attack(replace(daemon, rpcs=quick), REQUESTS, seed_of_all=1) == []


def test_a_compressed_request_is_refused_and_not_unpacked(daemon: Target) -> None:
    """What unpacks to 64 MB takes 64 kB on the wire."""
    look_up = LatencyServiceStub(daemon.channel).LookUp
    metadata = (("authorization", f"Bearer {daemon.token}"),)
    bomb = latency_pb2.LookUpRequest(measurement_ids=["0" * 1_000_000])
    with pytest.raises(grpc.RpcError) as refused:
        look_up(bomb, metadata=metadata, timeout=TIMEOUT_S, compression=grpc.Compression.Gzip)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture
def channel(database_url: str, tmp_path: Path) -> Iterator[grpc.Channel]:
    """A channel to the services, on both databases."""
    database = Database(database_url)
    with served(database, tmp_path) as (address, _), grpc.insecure_channel(address) as channel:
        yield channel
    database.close()


def test_names_that_no_database_holds_are_refused(channel: grpc.Channel) -> None:
    lab, latency = LabServiceStub(channel), LatencyServiceStub(channel)
    name = "a\0b"
    program = latency_pb2.Program(sha256="0" * 64, size_bytes=1, backend=name)
    calls: list[tuple[Any, object]] = [
        (lab.SetNote, lab_pb2.SetNoteRequest(device=name)),
        (lab.SetDrained, lab_pb2.SetDrainedRequest(device=name)),
        (lab.GetDeviceHistory, lab_pb2.GetDeviceHistoryRequest(device=name)),
        (lab.ReadConditions, lab_pb2.ReadDeviceConditionsRequest(transport=name)),
        (lab.PinSentinel, lab_pb2.PinSentinelRequest(program_sha256=name)),
        (lab.Refit, lab_pb2.RefitRequest(target=name)),
        (lab.ExcludeMeasurement, lab_pb2.ExcludeMeasurementRequest(id=name * 3, why="odd")),
        (latency.GetMeasurement, latency_pb2.GetMeasurementRequest(id=name)),
        (latency.LookUp, latency_pb2.LookUpRequest(measurement_ids=[name])),
        (latency.UploadProgram, iter([latency_pb2.UploadRequest(program=program)])),
    ]
    for method, request in calls:
        with pytest.raises(grpc.RpcError) as refused:
            method(request, metadata=METADATA, timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, request


def test_many_ids_are_not_too_much_for_a_query(channel: grpc.Channel) -> None:
    request = latency_pb2.LookUpRequest(
        measurement_ids=[f"{number:032}" for number in range(66_000)]
    )
    with pytest.raises(grpc.RpcError) as refused:
        LatencyServiceStub(channel).LookUp(request, metadata=METADATA, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_request_that_cannot_be_parsed_is_the_clients_fault(channel: grpc.Channel) -> None:
    method: Any = channel.stream_stream("/latlab.v1.LabService/SetNote")
    for parts in ([b"\xff\xff"], []):
        with pytest.raises(grpc.RpcError) as refused:
            list(method(iter(parts), metadata=METADATA, timeout=TIMEOUT_S))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
