"""Calls for which nobody waits any more."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import grpc
import pytest
from sqlalchemy import Connection

from host.services.listing import lab_lists
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.host.database.test_call_reads import read_slowly
from tests.host.services.access.conftest import TeamLab
from tests.host.stored_lab import TOKEN

TIMEOUT_S = 60.0


def test_a_call_stops_reading_when_its_deadline_has_passed(
    lab: TeamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: Future[None] = Future()

    def slow_page(connection: Connection, *_: Any) -> list[Any]:  # noqa: ANN401
        try:
            read_slowly(connection)
            ended.set_result(None)
        except BaseException as error:
            ended.set_exception(error)
            raise
        return []

    monkeypatch.setattr(lab_lists, "measurement_page", slow_page)
    with grpc.insecure_channel(lab.address) as channel:
        stub = LatencyServiceStub(channel)
        with pytest.raises(grpc.RpcError) as late:
            stub.QueryMeasurements(
                latency_pb2.QueryMeasurementsRequest(),
                timeout=0.1,
                metadata=(("authorization", f"Bearer {TOKEN}"),),
            )
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "interrupted" in str(ended.exception(TIMEOUT_S))
    assert lab.admin.targets()
