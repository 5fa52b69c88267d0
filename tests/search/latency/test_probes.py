from __future__ import annotations

import pickle
from collections import defaultdict

import pytest
import torch

from latlab.domain.kernel import DELEGATED_KINDS, Kernel
from latlab.export import export_program
from search.latency.probes import probe_specs
from search.space.deployment import Deployment


def test_probes_carry_every_kernel_kind_at_varied_shapes() -> None:
    """Of those for stock lowering, which takes seconds, one stands for all."""
    distinct: dict[str, set[Kernel]] = defaultdict(set)
    ways = set()
    for spec in probe_specs()[:9]:
        program, _ = export_program(*spec.make())
        ways.add(program.exporter.split()[0])
        for kernel in program.kernels:
            distinct[kernel.kind].add(kernel)
    assert ways == {"direct", "stock"}
    of_hard_sigmoid = {"div", "portable:dim_order_ops::_to_dim_order_copy"}
    of_shuffling = {"static_slice", "portable:split_with_sizes_copy"}
    others = {*of_hard_sigmoid, *of_shuffling, "portable:avg_pool2d"}
    assert distinct.keys() == DELEGATED_KINDS | others
    windows = {(k.kernel_size[0], k.dilation) for k in distinct["depthwise_conv2d"]}
    assert windows >= {(3, 1), (5, 1), (7, 1)}
    assert {kernel.dilation for kernel in distinct["conv2d"]} > {1}
    for kind in ("conv2d", "multiply", "sigmoid", "hardswish"):
        assert len(distinct[kind]) >= 20


def test_probes_are_always_the_same_networks() -> None:
    keys = set()
    for spec in probe_specs():
        (first, _), (again, _) = spec.make(), pickle.loads(pickle.dumps(spec)).make()
        keys.add(spec.key)
        for name, weight in first.state_dict().items():
            assert torch.equal(weight, again.state_dict()[name])
    assert len(keys) == len(probe_specs())
    assert "probe 0 of edition 3, input (1, 3, 224, 224)" in keys


@pytest.mark.parametrize("resolution", [32, 97, 448])
def test_probes_are_made_for_any_resolution(resolution: int) -> None:
    specs = probe_specs(Deployment(resolution))
    assert {spec.key for spec in specs}.isdisjoint(spec.key for spec in probe_specs())
    for spec in specs:
        network, shape = spec.make()
        with torch.no_grad():
            assert network.eval()(torch.zeros(shape)).shape[0] == 1  # type: ignore[arg-type]
        assert sum(weight.numel() for weight in network.parameters()) < 3e7
