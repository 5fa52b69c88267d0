from __future__ import annotations

import pytest

from latency_models.kernel_predictor import KernelPredictor
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine, random_networks


@pytest.fixture(scope="session")
def networks() -> list[tuple[Kernel, ...]]:
    return random_networks(60, seed=1)


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine(seed=0)


@pytest.fixture(scope="session")
def measured(machine: Machine, networks: list[tuple[Kernel, ...]]) -> list[MeasuredNetwork]:
    return machine.measure_all(networks)


@pytest.fixture(scope="session")
def predictor(measured: list[MeasuredNetwork]) -> KernelPredictor:
    """A predictor that was fitted on the first 40 networks."""
    return KernelPredictor.fit(measured[:40])
