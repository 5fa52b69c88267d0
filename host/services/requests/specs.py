"""Read the benchmark specs of requests."""

from __future__ import annotations

from latlab.convert.latency import spec_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.v1 import latency_pb2


def spec_of(
    request: latency_pb2.CreateMeasurementRequest | latency_pb2.PredictRequest,
) -> BenchmarkSpec:
    """Return the spec of a request; the lab's usual one without. Raises InvalidRequest."""
    if not request.HasField("spec"):
        return BenchmarkSpec()
    try:
        return spec_from_message(request.spec)
    except ValueError as error:
        raise InvalidRequest(f"spec: {error}", "spec") from error
