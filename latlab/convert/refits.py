"""Convert refits of predictors, and what predictions rest on, to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.convert.latency import target_status_to_message
from latlab.convert.status import target_status_from_message
from latlab.domain.estimate import PredictionScore, Refit
from latlab.domain.target import TargetDetails
from latlab.v1 import latency_pb2


def refit_to_message(refit: Refit) -> latency_pb2.Refit:
    """Return the protobuf message for a refit."""
    return latency_pb2.Refit(
        unix_ns=refit.unix_ns,
        measurements=refit.measurements,
        fit_s=refit.fit_s,
        predictor=refit.predictor,
        fingerprint=refit.fingerprint,
        versions=refit.versions,
        score=None if refit.score is None else latency_pb2.PredictionScore(**asdict(refit.score)),
    )


def refit_from_message(message: latency_pb2.Refit) -> Refit:
    """Return the refit that a protobuf message holds."""
    has_score = message.HasField("score")
    return Refit(
        unix_ns=message.unix_ns,
        measurements=message.measurements,
        fit_s=message.fit_s,
        predictor=message.predictor,
        fingerprint=message.fingerprint,
        versions=dict(message.versions),
        score=PredictionScore(**fields_of(message.score)) if has_score else None,
    )


def target_details_to_message(details: TargetDetails) -> latency_pb2.TargetDetails:
    """Return the protobuf message for a target's details."""
    return latency_pb2.TargetDetails(
        status=target_status_to_message(details.status),
        refits=map(refit_to_message, details.refits),
        noise_floor=details.noise_floor,
        newest_age_s=details.newest_age_s,
        kernel_kinds=details.kernel_kinds,
        interval_coverage=details.interval_coverage,
    )


def target_details_from_message(message: latency_pb2.TargetDetails) -> TargetDetails:
    """Return the target's details that a protobuf message holds."""
    has_coverage = message.HasField("interval_coverage")
    return TargetDetails(
        status=target_status_from_message(message.status),
        refits=tuple(map(refit_from_message, message.refits)),
        noise_floor=message.noise_floor if message.HasField("noise_floor") else None,
        newest_age_s=message.newest_age_s if message.HasField("newest_age_s") else None,
        kernel_kinds=dict(message.kernel_kinds),
        interval_coverage=message.interval_coverage if has_coverage else None,
    )
