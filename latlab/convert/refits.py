"""Convert refits of predictors to and from protobuf messages."""

from __future__ import annotations

from dataclasses import asdict

from latlab.convert.fields import fields_of
from latlab.domain.estimate import PredictionScore, Refit
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
