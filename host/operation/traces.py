"""Export calls, visits and refits as OpenTelemetry's spans, if its environment variables ask.

OpenTelemetry is the extra `traces`. It is imported only if OTEL_TRACES_EXPORTER, or an endpoint
for OTLP, is set.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from host.operation.counters import ABORTED, known_method
from latlab.common.telemetry.activities import CALL, OUTCOME, VISIT, Attributes
from latlab.common.telemetry.work import present_work

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OTLP_EXPORTERS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
SERVICE_NAME = "latency-lab"
FLUSH_S = 2.0
# Outcomes that are no errors of the lab or its devices.
FINE = frozenset({"OK", "CANCELLED", "samples", "fitted"})


class Traces:
    """Watches activities, and makes a span of each."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("latlab")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def watch(self, name: str, attributes: Attributes) -> Iterator[None]:
        """Make a span of an activity. A call belongs to the trace that its client names."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        is_call = name == CALL
        method = known_method(attributes["method"]) if is_call else ""
        with self._tracer.start_as_current_span(
            method or name,
            self._propagator.extract(attributes) if is_call else None,
            SpanKind.SERVER if is_call else SpanKind.INTERNAL,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                outcome = attributes.get(OUTCOME, ABORTED)
                described = _described_call(method) if is_call else _described(name, attributes)
                span.set_attributes({**described, "latlab.outcome": outcome})
                if outcome not in FINE:
                    span.set_status(Status(StatusCode.ERROR, outcome))

    def stop(self) -> None:
        """Send the last spans, for at most FLUSH_S: the collector may be gone."""
        flush = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        flush.start()
        flush.join(FLUSH_S)


def traces_from_environment() -> Traces | None:
    """Return what makes traces, if OpenTelemetry's environment variables ask for them.

    The endpoint, headers, protocol, resource, sampler and batches are those of the variables that
    OpenTelemetry documents. What is wrong with them is logged, and the lab runs without traces.
    """
    names = _wanted_exporters(os.environ)
    if not names:
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning(
            "traces are asked for by OTEL_ variables, but OpenTelemetry is not installed:"
            " pip install 'latency-lab[traces]'"
        )
        return None
    try:
        exporters = [_exporter(name) for name in names]
        named = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        resource = Resource.create(None if named else {"service.name": SERVICE_NAME})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as error:  # whatever a wrong variable leads to
        log.warning("no traces are exported: %s", error)
        return None
    log.info("traces are exported by %s", ", ".join(names))
    return Traces(provider)


def _wanted_exporters(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the exporters, as OpenTelemetry's packages register them."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    has_endpoint = any(environment.get(name) for name in ENDPOINTS)
    wanted = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if has_endpoint else "none")
    names = [name for each in wanted.split(",") if (name := each.strip()) and name != "none"]
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "grpc")
    return [OTLP_EXPORTERS.get(protocol, protocol) if name == "otlp" else name for name in names]


def _exporter(name: str) -> SpanExporter:
    """Make an exporter. Raises ValueError if no package that is installed has it."""
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=name)), None)
    if found is None:
        raise ValueError(f"no exporter {name!r} of OpenTelemetry is installed")
    exporter: SpanExporter = found.load()()
    return exporter


def _described_call(method: str) -> dict[str, str]:
    service, _, name = method.partition("/")
    work = present_work()
    return {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": name,
        "latlab.request_id": work.request_id,
    }


def _described(name: str, attributes: Attributes) -> dict[str, str]:
    described = {"latlab.target": attributes["target_id"]}
    if name == VISIT:
        described["latlab.device"] = attributes["device"]
        described["latlab.run_id"] = attributes["run_id"]
        described["latlab.job_id"] = present_work().job_id
    return described
