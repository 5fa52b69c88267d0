"""Networks from outside the searched space, through export and the runner."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from latency_models.alignment import align
from latlab.export import export_program
from latlab.export.lowering import proof
from tests.networks import INPUT_SHAPE, NETWORKS, PARAMETERS, build


def first_layers(name: str, count: int | None) -> nn.Module:
    return nn.Sequential(*list(build(name).children())[:count]).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_as_published(name: str) -> None:
    assert sum(weight.numel() for weight in build(name).parameters()) == PARAMETERS[name]


# Of those that only ExecuTorch's own lowering takes, in 10 to 20 s, as much as holds every
# kernel kind.
@pytest.mark.parametrize(
    ("name", "layers", "exporter", "undelegated"),
    [
        ("mobilenet-v2", None, "direct", ()),
        ("mobilenet-v3-small", 2, "stock", ("dim_order_ops::_to_dim_order_copy",)),
        ("resnet-18", None, "direct", ()),
        ("squeezenet-1.1", None, "direct", ()),
        ("efficientnet-b0", None, "direct", ()),
        ("shufflenet-v2", 4, "stock", ("split_with_sizes_copy",)),
    ],
)
def test_kernels_are_those_that_run(
    name: str,
    layers: int | None,
    exporter: str,
    undelegated: tuple[str, ...],
    runner: Path,
    tmp_path: Path,
) -> None:
    network = first_layers(name, layers)
    program, data = export_program(network, INPUT_SHAPE)
    assert program.exporter.split()[0] == exporter
    assert program.undelegated == undelegated
    x = torch.randn(INPUT_SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(x)
    error = (proof.run(data, x) - expected).abs().max()
    assert error <= 1e-4 * expected.abs().max()
    file = tmp_path / "program.pte"
    file.write_bytes(data)
    once = "--traced --warmup-runs 1 --warmup-ns 0 --timed-runs 1 --timed-ns 0 --max-timed-runs 1"
    shape = "x".join(map(str, INPUT_SHAPE))
    report = json.loads(
        subprocess.check_output([runner, "--program", file, "--input", shape, *once.split()])
    )
    align(program.kernels, [(kernel["name"], kernel["ns"]) for kernel in report["kernels"]])


@pytest.mark.parametrize(
    ("name", "layers"),
    [("resnet-18", 5), ("squeezenet-1.1", 5), ("efficientnet-b0", 4)],
)
def test_direct_lowering_makes_of_their_blocks_what_stock_lowering_makes(
    name: str, layers: int
) -> None:
    assert proof.agrees(first_layers(name, layers), (1, 3, 32, 32))


def test_several_outputs_of_an_operator_are_no_inputs_of_it() -> None:
    program, _ = export_program(_Halves(), (1, 6, 4, 4))
    (split,) = [kernel for kernel in program.kernels if kernel.kind.startswith("portable:")]
    assert split.inputs == ((1, 6, 4, 4),)
    assert split.output == (1, 3, 4, 4)


class _Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = x.chunk(2, dim=1)
        return one * other
