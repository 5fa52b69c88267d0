"""Activations that follow each other, fused into the operator before them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from unittest import mock

from executorch.backends.xnnpack._passes.fuse_activation_pass import FuseActivationPass
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import OutputMinMax
from torch import fx


@contextlib.contextmanager
def fused_one_after_another() -> Iterator[None]:
    """Around ExecuTorch's fusion, which forgets the first of two activations: a convolution
    with a ReLU6 and a ReLU behind it would lose its upper limit."""
    limits_of = FuseActivationPass.get_output_min_max_from_activation

    def limits_of_all(fusion: FuseActivationPass, activation: fx.Node) -> OutputMinMax:
        limits = limits_of(fusion, activation)
        earlier = FuseActivationPass.get_fused_activation(activation.args[0])
        if earlier is None:
            return limits
        low, high = float(limits.output_min), float(limits.output_max)
        return OutputMinMax(
            *(_written(min(max(float(limit), low), high)) for limit in vars(earlier).values())
        )

    with mock.patch.object(FuseActivationPass, "get_output_min_max_from_activation", limits_of_all):
        yield


def _written(limit: float) -> float | str:
    """As ExecuTorch's serializer wants infinity."""
    return limit if math.isfinite(limit) else f"{limit:+}"
