from __future__ import annotations

import random

import pytest

from host.export import export_program
from host.export.preparation import prepare
from host.export.stock import lower
from search.architecture import Architecture
from search.kernels import kernels
from search.network import build_network
from search.space import mnasnet_space
from search.zoo import ZOO

SPACE = mnasnet_space()


@pytest.mark.parametrize("seed", range(10))
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


# Between them: every convolution, kernel, skip and both ratios; few layers, for speed.
@pytest.mark.parametrize(
    "choices",
    [
        (0, 0, 1, 2, 0, 2) + (1, 1, 1, 0, 1, 0) * 6,
        (2, 1, 1, 1, 2, 2) + (3, 0, 0, 1, 0, 0) * 6,
    ],
)
def test_kernels_are_those_of_stock_lowering_too(choices: tuple[int, ...]) -> None:
    architecture = SPACE.resolve(choices)
    shape = (1, 3, 64, 64)
    _, exported, undelegated = lower(prepare(build_network(architecture, seed=0), shape), shape)
    assert kernels(architecture, resolution=64) == exported
    assert undelegated == ()
