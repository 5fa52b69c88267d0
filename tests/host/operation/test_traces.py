"""Spans of calls, visits and refits reach a collector, if the environment names one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from host.operation.traces import traces_from_environment
from latlab.domain.errors import NotFound, NotReady
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.operation.watched_lab import watched_lab
from tests.host.stored_lab import SPEC, write_ordinary

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def no_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A collector of OTLP on loopback; its address, and the requests that it has received."""
    pytest.importorskip("opentelemetry.sdk", reason="pip install 'latency-lab[traces]'")
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages

    received: list[Any] = []

    def export(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        received.append(request)
        return messages.ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export,
        messages.ExportTraceServiceRequest.FromString,
        messages.ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(EXPORT, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        server.stop(None).wait()


def spans(received: list[Any]) -> dict[str, Any]:
    """By name; of those of a name, the last."""
    return {
        span.name: span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def texts(attributes: Any) -> dict[str, str]:  # noqa: ANN401
    return {each.key: each.value.string_value for each in attributes}


def test_calls_visits_and_refits_become_spans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "our-lab")
        with watched_lab(tmp_path) as lab:
            stored = write_ordinary(lab.database, lab.folder, count=1)
            lab.client.measure(TARGET.id, [stored[0].file], SPEC, fresh=True)
            with pytest.raises(NotReady):
                lab.client.refit(TARGET.id)
            with pytest.raises(NotFound):
                lab.client.refit("nothing")
            with grpc.insecure_channel(lab.address) as channel:
                call: Any = channel.unary_unary("/latlab.v1.LabService/ListDevices")
                parent = ("traceparent", f"00-{TRACE}-{PARENT}-01")
                with pytest.raises(grpc.RpcError):
                    call(b"", metadata=[parent, ("x-request-id", "r1")], timeout=60)
        found = spans(received)
    resource = texts(received[0].resource_spans[0].resource.attributes)
    assert resource["service.name"] == "our-lab"
    visit = texts(found["visit"].attributes)
    assert len(visit.pop("latlab.run_id")) == len(visit.pop("latlab.job_id")) == 32
    assert visit == {
        "latlab.target": TARGET.id,
        "latlab.device": DEVICE.serial,
        "latlab.outcome": "samples",
    }
    assert texts(found["refit"].attributes) == {
        "latlab.target": TARGET.id,
        "latlab.outcome": "NotReady",
    }
    assert "latlab.v1.LatencyService/Measure" in found
    refit = found["latlab.v1.LabService/Refit"]
    assert texts(refit.attributes)["latlab.outcome"] == "NOT_FOUND"
    assert refit.status.message == "NOT_FOUND"
    refused = found["latlab.v1.LabService/ListDevices"]
    assert (refused.trace_id.hex(), refused.parent_span_id.hex()) == (TRACE, PARENT)
    assert texts(refused.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "latlab.v1.LabService",
        "rpc.method": "ListDevices",
        "latlab.request_id": "r1",
        "latlab.outcome": "UNAUTHENTICATED",
    }


def test_a_collector_that_is_gone_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="pip install 'latency-lab[traces]'")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with watched_lab(tmp_path) as lab:
        lab.client.devices()
        wait_until(lambda: lab.values("latlab_requests_total", code="OK") == [1])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1"}, ""),
        ({"OTEL_TRACES_EXPORTER": "pigeon"}, "no exporter 'pigeon'"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "'smoke'"),
    ],
)
def test_without_a_wish_or_with_a_wrong_one_there_are_none(
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if said:
        pytest.importorskip("opentelemetry.sdk", reason="pip install 'latency-lab[traces]'")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces_from_environment() is None
    assert said in caplog.text
    assert bool(caplog.text) is bool(said)


def test_a_wish_without_the_extra_is_answered_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert traces_from_environment() is None
    assert "pip install 'latency-lab[traces]'" in caplog.text
