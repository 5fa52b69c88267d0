"""The part of the service about latencies that answers them without a measurement."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import grpc
import numpy as np

from host.services.access.caller import caller
from host.services.jobs.lab_jobs import LabJobs, WantedMeasurement
from host.services.predictions.program_answers import Networks, ProgramAnswers, is_wider
from host.services.requests.checks import check_count, check_kernel
from host.services.requests.deadlines import remaining_s
from host.services.requests.specs import spec_of
from latlab.convert.fields import enum_member
from latlab.convert.jobs import job_name
from latlab.convert.kernels import kernel_from_message
from latlab.convert.latency import estimate_to_message
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import InvalidRequest, PermissionDenied
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.program import check_program_name
from latlab.domain.records.predictions import QueryMode
from latlab.domain.target import Target
from latlab.v1 import common_pb2, latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceServicer

MAX_PROGRAMS = 1_000

# Takes a target's id or name, the networks, and the options `min_measurements`, `guess` and
# `timeout_s`.
Predict = Callable[..., Sequence[LatencyEstimate]]


class PredictionsServicer(LatencyServiceServicer):
    """Answers the latencies of networks and of uploaded programs."""

    _answers: ProgramAnswers
    _jobs: LabJobs
    _find_target: Callable[[str], Target]
    _predict: Predict

    def Predict(  # noqa: N802
        self, request: latency_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> latency_pb2.PredictResponse:
        networks = Networks(
            [_kernel(message.SerializeToString()) for message in request.kernels],
            np.array(request.lengths, dtype=np.int64),
            np.array(request.indices, dtype=np.int64),
        )
        predict = functools.partial(
            self._predict,
            request.target,
            min_measurements=request.min_measurements,
            guess=request.guess,
            timeout_s=remaining_s(context),
        )
        mode = _mode(request)
        _check_half_width(request, mode, caller())
        if not request.program_sha256:
            estimates = predict(networks.table, networks.lengths, networks.indices)
            return latency_pb2.PredictResponse(estimates=map(estimate_to_message, estimates))
        return self._with_programs(request, networks, mode, predict)

    def _with_programs(
        self,
        request: latency_pb2.PredictRequest,
        networks: Networks,
        mode: QueryMode,
        predict: Callable[..., Sequence[LatencyEstimate]],
    ) -> latency_pb2.PredictResponse:
        check_count("programs", request.program_sha256, MAX_PROGRAMS, "program_sha256")
        programs = list(map(check_program_name, request.program_sha256))
        target_id = self._find_target(request.target).id
        spec = spec_of(request) if request.HasField("spec") else None
        answers, measured = self._answers.answer(target_id, networks, programs, mode, spec, predict)
        queued = []
        if request.HasField("max_half_width"):
            predicted = dict(zip(programs, answers[len(networks.lengths) :], strict=True))
            for sha256, estimate in predicted.items():
                if sha256 not in measured and is_wider(estimate, request.max_half_width):
                    wanted = WantedMeasurement(target_id, sha256, spec_of(request))
                    queued.append(job_name(self._jobs.create(wanted, caller()).id))
        return latency_pb2.PredictResponse(
            estimates=map(estimate_to_message, answers), queued_jobs=queued
        )


def _mode(request: latency_pb2.PredictRequest) -> QueryMode:
    if request.mode == latency_pb2.QUERY_MODE_UNSPECIFIED:
        return QueryMode.PREDICTED
    mode = enum_member(latency_pb2.QueryMode, request.mode, QueryMode)
    if mode is None:
        raise InvalidRequest(f"this lab does not know the mode {request.mode}", "mode")
    return mode


def _check_half_width(
    request: latency_pb2.PredictRequest, mode: QueryMode, owner: AccessToken
) -> None:
    if not request.HasField("max_half_width"):
        return
    half_width = request.max_half_width
    if mode is not QueryMode.AUTO:
        raise InvalidRequest("max_half_width needs the mode AUTO", "max_half_width")
    if not (math.isfinite(half_width) and half_width > 0):
        raise InvalidRequest(
            f"max_half_width must be a share above 0, not {half_width}", "max_half_width"
        )
    if not owner.allows(Scope.MEASURE):
        raise PermissionDenied(
            "max_half_width queues measurements, for which a token needs the scope measure"
        )


# Networks share most of their kernels, and converting them would take most of a prediction.
@functools.lru_cache(maxsize=65_536)
def _kernel(message: bytes) -> Kernel:
    return kernel_from_message(common_pb2.Kernel.FromString(check_kernel(message)))
