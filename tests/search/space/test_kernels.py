from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from latlab.domain.precision import Precision, precision_of
from latlab.export import export_program
from latlab.export.lowering import proof
from latlab.export.lowering.preparation import prepare
from latlab.export.lowering.stock import lower
from search.space.architecture import Architecture, Block
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.network import build_network
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.search.drawn import EVERY_OPERATOR

SPACE = mnasnet_space()

# Every operator and skip in few layers, skips after skips, and convolutions of one channel.
TINY = Architecture(
    1,
    (Block("dconv", 1, 3, 1, 0.5, "identity", 1, 1), Block("conv", 1, 3, 1, 0.0, "pool", 1, 2)),
    16,
)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("resolution", [64, 97])
def test_kernels_are_the_exported_programs(seed: int, resolution: int) -> None:
    architecture = SPACE.resolve(SPACE.sample(random.Random(seed)))
    deployment = Deployment(resolution, classes=10)
    network = build_network(architecture, classes=10, seed=0)
    program, _ = export_program(network, deployment.input_shape)
    assert kernels(architecture, deployment) == program.kernels
    assert program.undelegated == ()


@pytest.mark.parametrize("architecture", ZOO.values(), ids=ZOO.keys())
def test_kernels_of_published_networks(architecture: Architecture) -> None:
    program, _ = export_program(build_network(architecture, seed=0), Deployment().input_shape)
    assert kernels(architecture) == program.kernels


@pytest.mark.parametrize("seed", range(5))
def test_direct_lowering_makes_what_stock_lowering_makes(seed: int) -> None:
    """The first three of seven blocks with two layers at most, for speed: the benchmark compares
    whole networks."""
    whole = SPACE.resolve(SPACE.sample(random.Random(100 + seed)))
    blocks = tuple(replace(block, layers=min(block.layers, 2)) for block in whole.blocks[:3])
    architecture = Architecture(whole.stem_channels, blocks, 64)
    network = build_network(architecture, classes=10, seed=0)
    assert proof.agrees(network, (1, 3, 64, 64))


def test_weights_are_neither_zero_nor_denormal() -> None:
    """Arithmetic on either may be quicker, or a hundred times slower, than on others."""
    network = prepare(build_network(ZOO["mnasnet-small"], seed=0), (1, 3, 64, 64))
    for name, weight in network.named_parameters():
        if name.endswith("weight"):
            assert weight.abs().min() >= torch.finfo(weight.dtype).tiny


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_kernels_in_other_precisions_are_the_exported_programs(precision: Precision) -> None:
    deployment = Deployment(33, classes=10, precision=precision)
    network = build_network(TINY, classes=10, seed=0)
    program, _ = export_program(network, deployment.input_shape, precision)
    assert kernels(TINY, deployment) == program.kernels
    assert program.undelegated == ()
    assert precision_of(program.kernels) is precision


def test_kernels_are_those_of_stock_lowering_too() -> None:
    """Each convolution and skip, with and without squeeze-and-excitation; few layers, for
    speed: the benchmark does it with random architectures."""
    deployment = Deployment(resolution=64)
    shape = deployment.input_shape
    lowered = lower(prepare(build_network(EVERY_OPERATOR, seed=0), shape), shape)
    assert kernels(EVERY_OPERATOR, deployment) == lowered.kernels
    assert lowered.undelegated == ()


@pytest.mark.parametrize("precision", Precision)
def test_equal_kernels_of_different_networks_are_one_object(precision: Precision) -> None:
    rng, deployment = random.Random(3), Deployment(precision=precision)
    first, *others = (SPACE.resolve(SPACE.sample(rng)) for _ in range(5))
    found = {kernel: kernel for kernel in kernels(first, deployment)}
    for network in others:
        for kernel in kernels(network, deployment):
            assert found.setdefault(kernel, kernel) is kernel
