"""The contract of both predictors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latency_models.fitting import choose_predictor, fit_predictor
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS, Predictor
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.errors import NotEnoughData
from latlab.domain.measured_network import MeasuredNetwork

NOW_UNIX_NS = 10**18


@pytest.fixture(params=[KernelPredictor, WholeNetworkPredictor])
def predictor_class(request: pytest.FixtureRequest) -> type[Predictor]:
    chosen: type[Predictor] = request.param
    return chosen


def test_it_says_what_it_was_fitted_on(
    predictor_class: type[Predictor], measured: list[MeasuredNetwork]
) -> None:
    without_kernels = replace(measured[20], kernels=(), kernel_ns=None)
    assert not predictor_class.learns_from(without_kernels)
    predictor = predictor_class.fit([*measured[:20], without_kernels])
    assert predictor.samples == 20
    assert predictor.newest_unix_ns == max(network.unix_ns for network in measured[:20])
    estimates = predictor.predict(*pack([n.kernels for n in measured[20:30]]), NOW_UNIX_NS)
    assert all(0 < e.lower_ns <= e.latency_ns <= e.upper_ns for e in estimates)
    assert [e.samples for e in estimates] == [20] * 10


def test_it_needs_a_few_networks(
    predictor_class: type[Predictor], measured: list[MeasuredNetwork]
) -> None:
    with pytest.raises(NotEnoughData, match=f"{MIN_NETWORKS} measured networks"):
        predictor_class.fit(measured[: MIN_NETWORKS - 1])


def test_kernel_times_are_used_where_enough_networks_have_them(
    measured: list[MeasuredNetwork],
) -> None:
    untraced = [replace(network, kernel_ns=None) for network in measured[:10]]
    traced = measured[10 : 10 + MIN_NETWORKS]
    assert choose_predictor([*untraced, *traced]) is KernelPredictor
    assert choose_predictor([*untraced, *traced[1:]]) is WholeNetworkPredictor
    assert isinstance(fit_predictor(untraced), WholeNetworkPredictor)
