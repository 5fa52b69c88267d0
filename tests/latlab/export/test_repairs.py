from __future__ import annotations

import contextlib

import pytest
import torch
from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa
from torch import Tensor, nn

from latlab.export.lowering import stock


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Buffer(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x, self.mask)


def test_no_pattern_is_built_for_a_network_that_cannot_match(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise AssertionError("a pattern was built")

    monkeypatch.setattr(sdpa, "get_graphs", refuse)
    monkeypatch.setattr(bilinear_2d, "get_graphs_dict", refuse)
    _, kernels, undelegated, _ = stock.lower(nn.Conv2d(3, 4, 3).eval(), (1, 3, 8, 8))
    assert len(kernels) > 0
    assert not undelegated


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (Attention(), (1, 2, 4, 8)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 4, 4)),
    ],
)
def test_networks_that_may_match_are_lowered_as_before(
    monkeypatch: pytest.MonkeyPatch, network: nn.Module, shape: tuple[int, ...]
) -> None:
    repaired = stock.lower(network.eval(), shape)
    monkeypatch.setattr(stock, "patterns_searched_where_possible", contextlib.nullcontext)
    assert stock.lower(network, shape) == repaired
