"""Predictors learn from networks of any operators, not only those of a search space."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from latency_models.fitting import fit_predictor
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain import kernel as k
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

COUNT = 8
NEW = 4


def transformer(width: int, tokens: int) -> tuple[Kernel, ...]:
    """Attention, with tokens that are looked up and normed outside the delegate."""
    x, scores = (1, tokens, width), (4, tokens, tokens)
    return (
        Kernel("portable:embedding", ((1, tokens),), x),
        Kernel("portable:native_layer_norm", (x,), x),
        Kernel(k.FULLY_CONNECTED, (x,), x),
        Kernel(k.BATCH_MATRIX_MULTIPLY, ((4, tokens, width), (4, width, tokens)), scores),
        Kernel("softmax", (scores,), scores),
        Kernel(k.FULLY_CONNECTED, (x,), (1, 1, width), dtype="qint8"),
        Kernel("portable:argmax", ((1, 1, width),), (1, 1), dtype="int64"),
        Kernel("portable:_local_scalar_dense", ((1, 1),), (), dtype="int64"),
    )


def u_net(width: int, pixels: int) -> tuple[Kernel, ...]:
    """A transposed convolution beside ones over a line and over a volume."""
    x, half = (1, pixels, pixels, width), (1, pixels // 2, pixels // 2, 2 * width)
    volume = (1, width, 4, pixels, pixels)
    return (
        Kernel(k.CONV2D, (x,), half, kernel_size=(3, 3), stride=(2, 2)),
        Kernel(k.CONV_TRANSPOSE2D, (half,), x, kernel_size=(2, 2), stride=(2, 2)),
        Kernel(k.CONV2D, ((1, 1, pixels, width),), (1, 1, pixels, width), kernel_size=(1, 5)),
        Kernel("portable:convolution", (volume,), volume),
        Kernel("portable:cumsum", ((pixels,),), (pixels,)),
        Kernel("static_resize_bilinear2_d", (half,), x),
    )


def measured(kernels: tuple[Kernel, ...], unix_ns: int) -> MeasuredNetwork:
    kernel_ns = tuple(1_000.0 + 2.0 * prod(kernel.output) for kernel in kernels)
    latency_ns = 1.05 * sum(kernel_ns)
    return MeasuredNetwork(kernels, kernel_ns, latency_ns, latency_ns, latency_ns, unix_ns)


@pytest.fixture(scope="module")
def networks() -> list[MeasuredNetwork]:
    sizes = [8 * number for number in range(1, COUNT + 1)]
    shapes = [make(size, 16 + size) for size in sizes for make in (transformer, u_net)]
    return [measured(kernels, number) for number, kernels in enumerate(shapes)]


def predicted_ns(predictor: Predictor, networks: list[MeasuredNetwork]) -> list[int]:
    estimates = predictor.predict(*pack(network.kernels for network in networks), 0)
    return [estimate.latency_ns for estimate in estimates]


@pytest.fixture(scope="module")
def traced(networks: list[MeasuredNetwork]) -> KernelPredictor:
    return KernelPredictor.fit(networks[:-NEW])


@pytest.fixture(scope="module")
def whole(networks: list[MeasuredNetwork]) -> WholeNetworkPredictor:
    return WholeNetworkPredictor.fit(networks[:-NEW])


def test_any_operators_are_learned(
    networks: list[MeasuredNetwork], traced: KernelPredictor, whole: WholeNetworkPredictor
) -> None:
    new = networks[-NEW:]
    for predictor in (traced, whole):
        ratios = np.array(predicted_ns(predictor, new)) / [n.latency_ns for n in new]
        assert np.all(np.abs(ratios - 1) < 0.5), ratios


def test_kinds_that_were_never_measured_are_named(
    traced: KernelPredictor, whole: WholeNetworkPredictor
) -> None:
    novel = [Kernel("gelu", ((8,),), (8,)), Kernel("portable:erf", ((8,),), (8,))]
    for predictor in (traced, whole):
        with pytest.raises(UnknownKernelKinds, match="on this target: gelu, portable:erf"):
            predictor.predict(*pack([novel]), 0)


def test_networks_without_kernel_times_leave_a_traced_predictor_alone(
    networks: list[MeasuredNetwork], traced: KernelPredictor
) -> None:
    """Their kernel lists do not say what the backend ran."""
    slow = replace(networks[0], kernel_ns=None, latency_ns=1e12, lower_ns=1e12, upper_ns=1e12)
    beside = fit_predictor([slow, *networks[:-NEW]])
    assert isinstance(beside, KernelPredictor)
    assert predicted_ns(beside, networks) == predicted_ns(traced, networks)
