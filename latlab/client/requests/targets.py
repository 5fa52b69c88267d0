"""Calls about targets and predictions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from latlab.client.connection.steps import UnaryCall
from latlab.convert.fields import enum_number
from latlab.convert.kernels import kernel_to_message
from latlab.convert.latency import estimate_from_message, spec_to_message
from latlab.convert.records.predictions import (
    details_from_message,
    program_predictions_from_message,
)
from latlab.convert.status import target_status_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel, pack
from latlab.domain.records.predictions import ProgramPredictions, QueryMode, TargetDetails
from latlab.domain.target import TargetStatus
from latlab.v1 import latency_pb2

FIT_TIMEOUT_S = 300.0

# Networks share most of their kernels. Nothing changes the messages.
_kernel_to_message = functools.lru_cache(maxsize=65_536)(kernel_to_message)


def list_targets() -> UnaryCall[list[TargetStatus]]:
    """Ask for every target that the lab knows."""

    def convert(answer: Any) -> list[TargetStatus]:  # noqa: ANN401 -- a ListTargetsResponse
        return list(map(target_status_from_message, answer.targets))

    return UnaryCall(
        lambda stubs: stubs.latency.ListTargets, latency_pb2.ListTargetsRequest(), convert
    )


def get_target(target: str) -> UnaryCall[TargetDetails]:
    """Ask what predictions for a target rest on."""
    return UnaryCall(
        lambda stubs: stubs.latency.GetTarget,
        latency_pb2.GetTargetRequest(target=target),
        details_from_message,
    )


def predict(
    target: str,
    networks: Sequence[Sequence[Kernel]],
    *,
    min_measurements: int = 0,
    strict: bool = False,
) -> UnaryCall[list[LatencyEstimate]]:
    """Ask for the latencies of networks: see `LatencyClient.predict`."""
    table, lengths, indices = pack(networks)
    request = latency_pb2.PredictRequest(
        target=target,
        kernels=map(_kernel_to_message, table),
        lengths=lengths,
        indices=indices,
        min_measurements=min_measurements,
        guess=not strict,
    )

    def convert(answer: Any) -> list[LatencyEstimate]:  # noqa: ANN401 -- a PredictResponse
        return list(map(estimate_from_message, answer.estimates))

    return UnaryCall(lambda stubs: stubs.latency.Predict, request, convert, FIT_TIMEOUT_S)


def predict_programs(
    target: str,
    program_sha256: Sequence[str],
    mode: QueryMode,
    max_half_width: float | None,
    spec: BenchmarkSpec | None,
) -> UnaryCall[ProgramPredictions]:
    """Ask for the latencies of programs that the lab has: see `LatencyClient.predict_programs`."""
    request = latency_pb2.PredictRequest(
        target=target,
        program_sha256=program_sha256,
        guess=True,
        mode=enum_number(latency_pb2.QueryMode, mode),
        max_half_width=max_half_width,
        spec=None if spec is None else spec_to_message(spec),
    )

    def convert(answer: latency_pb2.PredictResponse) -> ProgramPredictions:
        found = program_predictions_from_message(answer)
        if len(found.estimates) != len(program_sha256):  # older labs skip the field
            raise InvalidRequest(
                "the lab runs an older version, which does not predict programs by their SHA-256:"
                " upgrade it, or predict their kernels"
            )
        return found

    return UnaryCall(lambda stubs: stubs.latency.Predict, request, convert, FIT_TIMEOUT_S)
