from __future__ import annotations

import random

import pytest

from host.export import export_program
from host.export.preparation import prepare
from host.export.stock import lower
from search.architecture import Architecture, Block
from search.kernels import kernels
from search.network import build_network
from search.space import mnasnet_space
from search.zoo import ZOO

SPACE = mnasnet_space()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("resolution", [64, 97])
def test_kernels_are_the_exported_programs(seed: int, resolution: int) -> None:
    architecture = SPACE.resolve(SPACE.sample(random.Random(seed)))
    program, _ = export_program(
        build_network(architecture, classes=10, seed=0), (1, 3, resolution, resolution)
    )
    assert kernels(architecture, resolution=resolution, classes=10) == program.kernels
    assert program.undelegated == ()


@pytest.mark.parametrize("architecture", ZOO.values(), ids=ZOO.keys())
def test_kernels_of_published_networks(architecture: Architecture) -> None:
    program, _ = export_program(build_network(architecture, seed=0), (1, 3, 224, 224))
    assert kernels(architecture) == program.kernels


def test_kernels_are_those_of_stock_lowering_too() -> None:
    """Each convolution and skip, with and without squeeze-and-excitation; few layers, for
    speed: the benchmark does it with random architectures."""
    architecture = Architecture(
        16,
        (
            Block("conv", 1, 5, 2, 0.25, "pool", 16, 2),
            Block("dconv", 1, 3, 1, 0.0, "identity", 16, 1),
            Block("mbconv", 3, 5, 2, 0.25, "identity", 24, 2),
            Block("mbconv", 6, 3, 1, 0.0, "none", 32, 1),
        ),
        64,
    )
    shape = (1, 3, 64, 64)
    _, exported, undelegated = lower(prepare(build_network(architecture, seed=0), shape), shape)
    assert kernels(architecture, resolution=64) == exported
    assert undelegated == ()
