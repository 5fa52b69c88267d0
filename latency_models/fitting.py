"""Choose between the two kinds of latency predictors."""

from __future__ import annotations

from collections.abc import Sequence

from latency_models.kernel_predictor import KernelPredictor
from latency_models.predictor import MIN_NETWORKS, Predictor
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.measured_network import MeasuredNetwork


def choose_predictor(networks: Sequence[MeasuredNetwork]) -> type[Predictor]:
    """Return the kind of latency predictor that suits the measured networks.

    It is KernelPredictor if enough networks have kernel times, and else WholeNetworkPredictor.
    Kernel times are missing if the runtime does not trace or no visit was traced.
    """
    traced = sum(map(KernelPredictor.learns_from, networks))
    return KernelPredictor if traced >= MIN_NETWORKS else WholeNetworkPredictor


def fit_predictor(networks: Sequence[MeasuredNetwork]) -> Predictor:
    """Fit a latency predictor of the kind that suits the measured networks.

    Raises:
        NotEnoughData: Fewer than MIN_NETWORKS of the networks can be learned from.
    """
    return choose_predictor(networks).fit(networks)
