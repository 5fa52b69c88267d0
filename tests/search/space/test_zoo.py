from __future__ import annotations

import pytest

from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.deployment import Deployment
from search.space.operators import describe
from search.space.zoo import PUBLISHED, ZOO


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds_m"),
    [
        ("mnasnet-a1", 3_887_038, 311.6),
        ("mnasnet-b1", 4_383_312, 314.4),
        ("mnasnet-small", 2_030_264, 68.3),
        ("mobilenet-v2", 3_504_872, 300.8),
    ],
)
def test_networks_count_as_published(name: str, parameters: int, multiply_adds_m: float) -> None:
    counted = counts(ZOO[name])
    assert counted.parameters == parameters
    assert round(counted.multiply_adds / 1e6, 1) == multiply_adds_m


@pytest.mark.parametrize("architecture", ZOO.values(), ids=ZOO.keys())
def test_a_block_with_a_skip_has_a_layer_with_it(architecture: Architecture) -> None:
    described = describe(architecture, Deployment()).blocks
    for block, layers in zip(architecture.blocks, described, strict=True):
        skips = {layer.skip for layer in layers} - {"none"}
        assert skips == {block.skip} - {"none"}


def test_published_sizes_fit_what_is_counted() -> None:
    for result in PUBLISHED:
        if result.name in ZOO and result.name != "mobilenet-v2":  # the paper's 3.4 M is 3.5
            assert round(counts(ZOO[result.name]).parameters / 1e6, 1) == result.parameters_m


@pytest.mark.parametrize("architecture", ZOO.values(), ids=ZOO.keys())
def test_an_architecture_survives_its_dictionary(architecture: Architecture) -> None:
    again = Architecture.from_dict(architecture.to_dict())
    assert again == architecture
    assert again.id == architecture.id
