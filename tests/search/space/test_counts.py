from __future__ import annotations

import math
import random

import pytest

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from search.space.counts import counts, counts_by_part
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.network import build_network
from search.space.space import mnasnet_space
from search.space.zoo import ZOO

# Parameters and millions of multiply-adds of the blocks, in order.
PUBLISHED_BLOCKS = {
    "mnasnet-a1": [
        (896, 10.04),
        (13_968, 54.94),
        (39_098, 28.85),
        (281_680, 59.41),
        (316_144, 49.66),
        (1_067_244, 53.49),
        (473_920, 23.00),
    ],
    "mnasnet-b1": [
        (896, 10.04),
        (11_472, 40.34),
        (33_096, 28.84),
        (217_680, 47.28),
        (209_184, 40.10),
        (1_611_456, 86.22),
        (605_440, 29.41),
    ],
}


@pytest.mark.parametrize("name", PUBLISHED_BLOCKS)
def test_blocks_count_as_published(name: str) -> None:
    blocks = [part for label, part in counts_by_part(ZOO[name]) if label.startswith("block")]
    counted = [(block.parameters, round(block.multiply_adds / 1e6, 2)) for block in blocks]
    assert counted == PUBLISHED_BLOCKS[name]


@pytest.mark.parametrize("seed", range(5))
def test_parameters_are_those_of_the_network(seed: int) -> None:
    space = mnasnet_space()
    architecture = space.resolve(space.sample(random.Random(seed)))
    network = build_network(architecture, classes=10)
    in_torch = sum(parameter.numel() for parameter in network.parameters())
    assert counts(architecture, Deployment(classes=10)).parameters == in_torch


@pytest.mark.parametrize("seed", range(5))
def test_multiply_adds_are_those_of_the_kernels(seed: int) -> None:
    space = mnasnet_space()
    architecture = space.resolve(space.sample(random.Random(seed)))
    deployment = Deployment(resolution=100)
    of_kernels = sum(map(_multiply_adds, kernels(architecture, deployment)))
    assert counts(architecture, deployment).multiply_adds == of_kernels


def _multiply_adds(kernel: Kernel) -> int:
    if kernel.kind not in (k.CONV2D, k.DEPTHWISE_CONV2D, k.FULLY_CONNECTED):
        return 0
    seen = kernel.inputs[0][-1] // kernel.groups * math.prod(kernel.kernel_size)
    return seen * math.prod(kernel.output)
