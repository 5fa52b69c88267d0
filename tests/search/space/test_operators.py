"""One description yields modules, kernels and counts.

The hashes pin what stored measurements and checkpoints rest on: change the code, never them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given

from search.space.architecture import Architecture
from search.space.counts import counts_by_part
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.network import build_network
from search.space.operators import describe
from search.space.zoo import ZOO
from tests.search.drawn import EVERY_OPERATOR, architectures

DEPLOYMENT = Deployment(resolution=97, classes=10)


def digest(lines: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("architecture", "of_kernels", "of_counts", "of_tensors"),
    [
        (ZOO["mnasnet-a1"], "11764b151b4f", "ac014cc72090", "faae091442c8"),
        (ZOO["mnasnet-b1"], "a65fcb8eff8d", "5dbd2a047c01", "a89af9254954"),
        (ZOO["mnasnet-small"], "97b0424319e9", "d7ec04e6e32b", "1284e8128e82"),
        (ZOO["mobilenet-v2"], "759bf69bf208", "3987d402a678", "498c78331d13"),
        (EVERY_OPERATOR, "98763f34fe0f", "faf9df4f6754", "d2bb766767a5"),
    ],
    ids=[*ZOO, "every operator"],
)
def test_a_network_keeps_its_kernels_counts_and_the_names_of_its_tensors(
    architecture: Architecture, of_kernels: str, of_counts: str, of_tensors: str
) -> None:
    assert digest(kernels(architecture, DEPLOYMENT)) == of_kernels
    parts = counts_by_part(architecture, DEPLOYMENT)
    assert digest(f"{n} {c.parameters} {c.multiply_adds}" for n, c in parts) == of_counts
    tensors = build_network(architecture, classes=10).state_dict().items()
    assert digest(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors) == of_tensors


@given(architectures())
def test_each_operator_takes_what_the_one_before_it_gives(architecture: Architecture) -> None:
    network = describe(architecture, DEPLOYMENT)
    layers = [layer for block in network.blocks for layer in block]
    assert len(layers) == sum(block.layers for block in architecture.blocks)
    operators = [network.stem, *(each for layer in layers for each in layer.body), network.head]
    assert network.stem.input == (1, 97, 97, 3)
    for before, after in pairwise(operators):
        assert after.input == before.output
    for layer in layers:
        assert layer.skip == "none" or layer.input == layer.output


def test_the_deployed_shape_is_224_pixels_and_1000_classes() -> None:
    assert Deployment() == Deployment(resolution=224, classes=1000)
    assert Deployment(resolution=160).input_shape == (1, 3, 160, 160)
    listed = kernels(ZOO["mnasnet-a1"])
    assert listed[0].inputs == (Deployment().input_shape,)
    assert listed[-1].output == (1, 1000)
