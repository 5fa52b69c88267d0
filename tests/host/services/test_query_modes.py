"""Latencies of uploaded programs: measured, predicted, or whichever there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from host.database import programs as program_rows
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.access.caller import calling
from host.services.predictions.servicer import _check_half_width
from latlab.client.client import LatencyClient
from latlab.convert.kernels import kernel_to_message
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import PermissionDenied
from latlab.domain.records.predictions import QueryMode
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from search.space.kernels import kernels
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import (
    TOKEN,
    Stored,
    program_file,
    served,
    tiny_networks,
    write_ordinary,
)

MEASURED = latency_pb2.ESTIMATE_SOURCE_MEASURED
TOKENS = (("authorization", f"Bearer {TOKEN}"),)


@dataclass
class Service:
    stub: LatencyServiceStub
    stored: list[Stored]
    unmeasured: str
    client: LatencyClient

    def predict(self, *programs: str, **fields: object) -> latency_pb2.PredictResponse:
        request = latency_pb2.PredictRequest(
            target=TARGET.id,
            program_sha256=programs,
            **fields,  # type: ignore[arg-type]
        )
        return self.stub.Predict(request, metadata=TOKENS, timeout=120)

    def refused(self, *programs: str, **fields: object) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as error:
            self.predict(*programs, **fields)
        return error.value.code()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A lab of measured programs and one that was uploaded only. Its device is drained."""
    folder: Path = tmp_path_factory.mktemp("lab")
    database = Database(sqlite_url(folder / "lab.db"))
    stored = write_ordinary(database, folder)
    new = tiny_networks(len(stored) + 1)[-1]
    unmeasured = program_file(folder, "unmeasured", kernels(new))
    with database.writing() as connection:
        program_rows.add_program(connection, unmeasured.program)
    with (
        served(database, folder) as (address, _),
        grpc.insecure_channel(address) as channel,
        LatencyClient(address, TOKEN) as client,
    ):
        client.set_drained(DEVICE.serial, True)
        client.predict(TARGET.id, [kernels(new)])  # it is summarised and fitted
        yield Service(LatencyServiceStub(channel), stored, unmeasured.program.sha256, client)
    database.close()


def test_each_mode_answers_what_it_says(service: Service) -> None:
    known = service.stored[0].file.program.sha256
    both = (service.unmeasured, known)
    for mode, measured in (
        (latency_pb2.QUERY_MODE_UNSPECIFIED, [False, False]),
        (latency_pb2.QUERY_MODE_PREDICTED, [False, False]),
        (latency_pb2.QUERY_MODE_AUTO, [False, True]),
    ):
        answer = service.predict(*both, mode=mode)
        assert [each.source == MEASURED for each in answer.estimates] == measured
        assert not answer.queued_jobs
    [measured_alone] = service.predict(known, mode=latency_pb2.QUERY_MODE_MEASURED).estimates
    assert measured_alone.source == MEASURED
    assert service.refused(*both, mode=latency_pb2.QUERY_MODE_MEASURED) is (
        grpc.StatusCode.NOT_FOUND
    )


def test_networks_of_the_table_come_before_programs(service: Service) -> None:
    network = service.stored[1].network.kernels
    table = list(dict.fromkeys(network))
    fields = {
        "kernels": list(map(kernel_to_message, table)),
        "lengths": [len(network)],
        "indices": [table.index(kernel) for kernel in network],
    }
    alone = service.predict(**fields).estimates
    program = service.stored[1].file.program.sha256
    both = service.predict(service.unmeasured, program, **fields).estimates
    assert len(both) == 3
    assert both[0].latency_ns == alone[0].latency_ns == both[2].latency_ns
    assert both[1].latency_ns != both[0].latency_ns


def test_a_measurement_is_queued_where_the_interval_is_too_wide(service: Service) -> None:
    mode = latency_pb2.QUERY_MODE_AUTO
    known = service.stored[0].file.program.sha256
    both = (service.unmeasured, known)
    assert not service.predict(*both, mode=mode, max_half_width=10.0).queued_jobs
    [job] = service.predict(*both, mode=mode, max_half_width=1e-9).queued_jobs
    [again] = service.predict(*both, mode=mode, max_half_width=1e-9).queued_jobs
    assert again == job
    found = service.stub.GetJob(latency_pb2.GetJobRequest(name=job), metadata=TOKENS, timeout=60)
    assert found.program_sha256 == service.unmeasured
    noted = [each for each in service.client.access.audit() if each.method.endswith("/Predict")]
    assert [each.resource for each in noted] == [job, job]  # those that queued nothing are not


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": 99},
        {"max_half_width": 0.1},
        {"mode": latency_pb2.QUERY_MODE_AUTO, "max_half_width": 0.0},
        {"mode": latency_pb2.QUERY_MODE_AUTO, "max_half_width": float("nan")},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    service: Service, fields: dict[str, object]
) -> None:
    code = service.refused(service.unmeasured, **fields)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_program_that_was_never_uploaded_is_refused(service: Service) -> None:
    for mode in (latency_pb2.QUERY_MODE_PREDICTED, latency_pb2.QUERY_MODE_AUTO):
        assert service.refused("ab" * 32, mode=mode) is grpc.StatusCode.NOT_FOUND
    assert service.refused("ab") is grpc.StatusCode.INVALID_ARGUMENT


def test_queueing_needs_the_scope_measure() -> None:
    request = latency_pb2.PredictRequest(max_half_width=0.1)
    token = AccessToken("t", "ann", frozenset({Scope.PREDICT}), 0)
    with calling(token), pytest.raises(PermissionDenied, match="scope measure"):
        _check_half_width(request, QueryMode.AUTO, token)
