"""Kernels of another precision are other kernels: no model answers for both."""

from __future__ import annotations

import random

import numpy as np
import pytest

from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.precision import Precision, precision_of
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.space import mnasnet_space
from tests.latency_models.synthetic import Machine

Networks = dict[Precision, list[tuple[Kernel, ...]]]
NETWORKS, FITTED = 16, 12
SPEED = {"float32": 1.0, "float16": 0.6, "qint8": 0.3}  # times as long


class QuantizedMachine(Machine):
    """Is faster at some precisions, by the same factor for all kernels."""

    def kernel_ns(self, kernel: Kernel) -> float:
        return super().kernel_ns(kernel) * SPEED[kernel.dtype]


@pytest.fixture(scope="module")
def networks() -> Networks:
    space, rng = mnasnet_space(), random.Random(7)
    architectures = [space.resolve(space.sample(rng)) for _ in range(NETWORKS)]
    return {
        precision: [
            kernels(architecture, Deployment(96, 100, precision)) for architecture in architectures
        ]
        for precision in Precision
    }


@pytest.fixture(scope="module")
def measured(networks: Networks) -> dict[Precision, list[MeasuredNetwork]]:
    machine = QuantizedMachine(mood=0.0, quirk=0.0)
    return {precision: machine.measure_all(each[:FITTED]) for precision, each in networks.items()}


def predicted_ns(predictor: Predictor, networks: list[tuple[Kernel, ...]]) -> list[int]:
    return [estimate.latency_ns for estimate in predictor.predict(*pack(networks), 0)]


@pytest.mark.parametrize("kind", [KernelPredictor, WholeNetworkPredictor])
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_precision_that_was_never_measured_is_not_answered(
    networks: Networks,
    measured: dict[Precision, list[MeasuredNetwork]],
    kind: type[Predictor],
    precision: Precision,
) -> None:
    predictor = kind.fit(measured[Precision.FP32])
    name = precision.value
    message = rf"{name} conv2d.*latlab calibrate --precision {name}\)$"
    with pytest.raises(UnknownKernelKinds, match=message):
        predictor.predict(*pack(networks[precision]), 0)


@pytest.mark.parametrize(
    ("kind", "tolerance"), [(KernelPredictor, 0.08), (WholeNetworkPredictor, 0.2)]
)
def test_one_predictor_knows_each_precision(
    networks: Networks,
    measured: dict[Precision, list[MeasuredNetwork]],
    kind: type[Predictor],
    tolerance: float,
) -> None:
    predictor = kind.fit([*measured[Precision.FP32], *measured[Precision.INT8]])
    machine = QuantizedMachine(mood=0.0, quirk=0.0)
    for precision in (Precision.FP32, Precision.INT8):
        others = networks[precision][FITTED:]
        truth_ns = [machine.latency_ns(network) for network in others]
        np.testing.assert_allclose(predicted_ns(predictor, others), truth_ns, rtol=tolerance)


def test_the_precision_of_a_network_follows_from_its_kernels(networks: Networks) -> None:
    for precision, each in networks.items():
        assert set(map(precision_of, each)) == {precision}
    assert precision_of([]) is Precision.FP32
