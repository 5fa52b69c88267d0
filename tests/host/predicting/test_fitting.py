"""Which predictor a target gets, and when it is fitted again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from host.predicting.fitting import is_due
from latency_models.fitting import fit_predictor
from latency_models.kernel_predictor import KernelPredictor
from latency_models.predictor import MIN_NETWORKS
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.errors import NotEnoughData
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine, random_networks


@pytest.fixture(scope="module")
def measured() -> list[MeasuredNetwork]:
    return Machine(seed=0).measure_all(random_networks(8, seed=1))


@pytest.mark.parametrize("traced", [0, MIN_NETWORKS - 1, MIN_NETWORKS])
def test_a_target_without_traces_is_predicted_from_whole_networks(
    measured: list[MeasuredNetwork], traced: int
) -> None:
    networks = [
        network if number < traced else replace(network, kernel_ns=None)
        for number, network in enumerate(measured)
    ]
    expected = KernelPredictor if traced >= MIN_NETWORKS else WholeNetworkPredictor
    assert type(fit_predictor(networks)) is expected


def test_too_few_networks_are_told(measured: list[MeasuredNetwork]) -> None:
    with pytest.raises(NotEnoughData, match=f"{MIN_NETWORKS} measured networks"):
        fit_predictor(measured[: MIN_NETWORKS - 1])


@pytest.mark.parametrize(
    ("measured", "fitted", "due"),
    [(4, 0, True), (11, 10, True), (107, 100, False), (108, 100, True), (10, 10, False)],
)
def test_a_fit_is_due_after_eight_more_or_a_tenth(measured: int, fitted: int, due: bool) -> None:
    assert is_due(measured, fitted, spent_s=1.0, elapsed_s=20.0) == due
    assert not is_due(measured, fitted, spent_s=1.1, elapsed_s=20.0)
