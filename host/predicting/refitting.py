"""Fitting a target's predictor: when it is due, and on what.

scikit-learn takes seconds to import, and a daemon that fits nothing needs none of it: it is
imported by the first fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latency_models.packing import pack
from latlab.domain.measured_network import MeasuredNetwork

if TYPE_CHECKING:
    from latency_models.predictor import Predictor

REFIT_AFTER = 8
REFIT_AFTER_SHARE = 0.1
MAX_FIT_SHARE = 1 / 20


def is_due(measured: int, fitted: int, spent_s: float, elapsed_s: float) -> bool:
    """Whether measurements have grown by 8 or a tenth since the last fit, and fitting has
    taken at most a twentieth of the time."""
    grown = measured - fitted
    enough = grown >= REFIT_AFTER or grown >= max(1, REFIT_AFTER_SHARE * fitted)
    return enough and spent_s <= MAX_FIT_SHARE * elapsed_s


def proven_predictor(networks: Sequence[MeasuredNetwork]) -> Predictor:
    """Fit a predictor, and check that it predicts every network that it was fitted on."""
    from latency_models.fitting import fit_predictor

    predictor = fit_predictor(networks)
    learned = filter(predictor.learns_from, networks)
    predictor.predict(*pack(network.kernels for network in learned), now_unix_ns=0)
    for network in networks:
        predictor.steadying(network)
    return predictor
