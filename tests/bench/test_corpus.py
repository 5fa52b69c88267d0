"""The corpus of `make bench-any`, as far as it needs no package of others."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from latlab.export.execution.example import example_of
from tests.bench.corpus import CORPUS, ForeignNetwork

HAND_WRITTEN = [network for network in CORPUS if network.name.startswith("hand-written/")]


def test_sixty_networks_can_be_sent_to_a_worker() -> None:
    assert len({network.name for network in CORPUS}) == len(CORPUS) == 60
    assert pickle.loads(pickle.dumps(CORPUS)) is not None


@pytest.mark.parametrize("network", HAND_WRITTEN, ids=lambda network: network.name)
def test_a_hand_written_network_runs_and_is_the_same_each_time(network: ForeignNetwork) -> None:
    outputs = []
    for _ in range(2):
        module, inputs = network.make()
        example = example_of(module, inputs)
        with torch.no_grad():
            outputs.append(pytree.tree_leaves(module(*example.args, **example.kwargs)))
    for first, second in zip(*outputs, strict=True):
        assert isinstance(first, Tensor)
        assert torch.equal(first, second)
