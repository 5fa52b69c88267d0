"""Fit a target's predictor, and decide when a new fit is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from host.predicting.culprits import fit_without_culprits
from latency_models.fitting import fit_predictor
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS, Predictor
from latlab.domain.errors import NotEnoughData
from latlab.domain.measured_network import MeasuredNetwork

REFIT_AFTER = 8
REFIT_AFTER_SHARE = 0.1
MAX_FIT_SHARE = 1 / 20


def is_due(measured: int, fitted: int, spent_s: float, elapsed_s: float) -> bool:
    """Return whether a predictor is to be fitted again.

    It is when the measurements have grown by 8 or by a tenth since the last fit, and fitting
    has taken at most a twentieth of the time.

    Args:
        measured: Measurements that are stored now.
        fitted: Measurements that were stored at the last fit.
        spent_s: Seconds that fits have taken so far.
        elapsed_s: Seconds since fits began to be counted.
    """
    grown = measured - fitted
    enough = grown >= REFIT_AFTER or grown >= max(1, REFIT_AFTER_SHARE * fitted)
    return enough and spent_s <= MAX_FIT_SHARE * elapsed_s


def check_enough(measurements: int) -> None:
    """Raise NotEnoughData if there are too few measurements for any predictor."""
    if measurements < MIN_NETWORKS:
        raise NotEnoughData(
            f"{MIN_NETWORKS} measured networks are needed, there are {measurements}"
        )


def fit_measured(networks: Mapping[str, MeasuredNetwork]) -> tuple[Predictor, dict[str, str]]:
    """Fit a predictor on measurements, a few of which may be impossible to fit on.

    Args:
        networks: The measured networks by the ids of their measurements.

    Returns:
        The predictor, and why it could not learn from some measurements, by their ids.

    Raises:
        NotEnoughData: There are too few networks.
    """
    return fit_without_culprits(proven_predictor, networks)


def proven_predictor(networks: Sequence[MeasuredNetwork]) -> Predictor:
    """Fit a predictor, and check that it predicts every network that it was fitted on."""
    predictor = fit_predictor(networks)
    learned = filter(predictor.learns_from, networks)
    predictor.predict(*pack(network.kernels for network in learned), now_unix_ns=0)
    for network in networks:
        predictor.steadying(network)
    return predictor
