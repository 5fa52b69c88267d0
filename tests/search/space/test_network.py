from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from search.space.architecture import Architecture, Block
from search.space.network import build_network
from search.space.space import mnasnet_space
from search.space.zoo import ZOO


def _one_block(op: str = "mbconv", skip: str = "none", se_ratio: float = 0.0) -> Architecture:
    return Architecture(
        16, (Block(op, 3 if op == "mbconv" else 1, 3, 1, se_ratio, skip, 16, 1),), 32
    )


def _random(seed: int) -> Architecture:
    space = mnasnet_space()
    return space.resolve(space.sample(random.Random(seed)))


@pytest.mark.parametrize("seed", range(3))
def test_logits_for_deployment_and_for_the_proxy_task(seed: int) -> None:
    with torch.no_grad():
        deployed = build_network(_random(seed)).eval()
        assert deployed(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    proxy = build_network(
        _random(seed), classes=10, width_multiplier=0.25, stem_stride=1, input_channels=1
    )
    logits = proxy(torch.randn(4, 1, 32, 32))
    logits.sum().backward()
    assert logits.shape == (4, 10)
    assert all(parameter.grad is not None for parameter in proxy.parameters())


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (build_network(_one_block(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(first.eval()(x), second.eval()(x))
        assert not torch.equal(first(x), other.eval()(x))


def test_no_weight_is_zero_or_denormal_and_activations_stay_in_range() -> None:
    network = build_network(ZOO["mnasnet-a1"], seed=0).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            assert parameter.abs().min() > torch.finfo(torch.float32).tiny, name
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 64, 64))
    assert 1e-3 < logits.std() < 1e3


def test_batch_norm_is_the_papers() -> None:
    norms = [m for m in build_network(_one_block()).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 5  # stem, three of the layer, head
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


@pytest.mark.parametrize(("skip", "pool"), [("identity", False), ("pool", True)])
def test_a_skip_adds_the_input_or_its_average(skip: str, pool: bool) -> None:
    """Same seed, same weights: what differs is the skip alone."""
    x = torch.randn(1, 3, 16, 16)
    plain = build_network(_one_block(), seed=0).eval()
    skipping = build_network(_one_block(skip=skip), seed=0).eval()
    with torch.no_grad():
        before = plain[0](x)
        added = skipping[1](before) - plain[1](before)
        corner = before[..., :2, :2].mean((2, 3))  # the padding is not counted
    torch.testing.assert_close(added[..., 0, 0], corner if pool else before[..., 0, 0])


@pytest.mark.parametrize("op", ["conv", "dconv", "mbconv"])
def test_squeeze_and_excitation_has_a_quarter_of_the_input(op: str) -> None:
    network = build_network(_one_block(op, se_ratio=0.25))
    biased = [
        (module.in_channels, module.out_channels)
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and module.bias is not None
    ]
    expanded = 48 if op == "mbconv" else 16
    assert biased == [(expanded, 4), (4, expanded)]


def test_width_multiplier_scales_and_rounds_every_channel_count() -> None:
    network = build_network(ZOO["mnasnet-b1"], width_multiplier=0.25)
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert widths[0] == 8  # stem
    assert [width for width in (8, 8, 16, 24, 24, 48, 80) if width not in widths] == []
    assert widths[-1] == 320  # head
    assert max(widths) == 320
