"""Convert what predictions rest on to and from protobuf messages."""

from __future__ import annotations

from latlab.convert.jobs import job_id_from_name
from latlab.convert.latency import estimate_from_message, target_status_to_message
from latlab.convert.refits import refit_from_message, refit_to_message
from latlab.convert.status import target_status_from_message
from latlab.domain.records.predictions import ProgramPredictions, TargetDetails
from latlab.v1 import latency_pb2


def details_to_message(details: TargetDetails) -> latency_pb2.TargetDetails:
    """Return the protobuf message for a target and what predictions for it rest on."""
    return latency_pb2.TargetDetails(
        status=target_status_to_message(details.status),
        refits=map(refit_to_message, details.refits),
        noise_floor=details.noise_floor,
        newest_age_s=details.newest_age_s,
        kernel_kinds=details.kernel_kinds,
        interval_coverage=details.interval_coverage,
    )


def details_from_message(message: latency_pb2.TargetDetails) -> TargetDetails:
    """Return the target that a protobuf message holds, and what predictions for it rest on."""
    has = message.HasField
    return TargetDetails(
        status=target_status_from_message(message.status),
        refits=tuple(map(refit_from_message, message.refits)),
        noise_floor=message.noise_floor if has("noise_floor") else None,
        newest_age_s=message.newest_age_s if has("newest_age_s") else None,
        kernel_kinds=dict(message.kernel_kinds),
        interval_coverage=message.interval_coverage if has("interval_coverage") else None,
    )


def program_predictions_from_message(message: latency_pb2.PredictResponse) -> ProgramPredictions:
    """Return the predictions of programs that a protobuf message holds."""
    return ProgramPredictions(
        estimates=tuple(map(estimate_from_message, message.estimates)),
        queued_jobs=tuple(map(job_id_from_name, message.queued_jobs)),
    )
