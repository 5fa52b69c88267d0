"""Prove that direct lowering makes what stock lowering makes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from unittest import mock

import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph
from torch import Tensor, nn

from latlab.export.execution import running
from latlab.export.execution.example import Inputs, example_of
from latlab.export.lowering import direct, stock
from latlab.export.lowering.edge.layers import edge_module
from latlab.export.lowering.preparation import prepare

PROVED_WITH = "1.5.1"  # the version with which the tests compare every kernel kind
TOLERANCE = 1e-5  # as a share of the largest output


@functools.cache
def direct_lowering_holds() -> bool:
    """Return whether direct lowering can be used with the installed ExecuTorch.

    Versions other than PROVED_WITH must first agree on a network with every kernel kind, which
    takes seconds, once for each process.
    """
    if version("executorch") == PROVED_WITH:
        return True
    try:
        return agrees(EveryKind(), (1, 3, 16, 16))
    except Exception:  # another version's internals may have changed
        return False


def agrees(module: nn.Module, inputs: Inputs) -> bool:
    """Return whether direct and stock lowering of a module agree.

    Their graphs must be equal, and the outputs of their programs differ by TOLERANCE at most.

    Raises:
        edge.graph.Unsupported: Only stock lowering can lower the module.
    """
    example = example_of(module, inputs)
    prepared = prepare(module, example)
    direct_data = direct.lower(prepared).data
    direct_graph, _ = direct.xnnpack_graph(edge_module(prepared))
    with captured_graphs() as graphs:
        stock_data = stock.lower(prepared, example).data
    if [canonical(graph) for graph in graphs.values()] != [canonical(direct_graph)]:
        return False
    results = [running.results(data, *example.tensors) for data in (direct_data, stock_data)]
    return all(
        float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
        for actual, expected in zip(*results, strict=True)
    )


@contextlib.contextmanager
def captured_graphs() -> Iterator[dict[bytes, XNNGraph]]:
    """Collect each XNNPACK graph that the `with` block serializes, by the payload it became."""
    graphs: dict[bytes, XNNGraph] = {}
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def capture(graph: XNNGraph, constants: bytearray) -> bytes:
        payload: bytes = serialize(graph, constants)
        graphs[payload] = graph
        return payload

    with (
        mock.patch.object(xnnpack_preprocess, "serialize_xnnpack_binary", capture),
        mock.patch.object(direct, "serialize_xnnpack_binary", capture),
    ):
        yield graphs


def canonical(graph: XNNGraph) -> tuple[list[Any], list[Any]]:
    """Return a graph's nodes and values in a form that is equal for equal computations.

    Values are numbered by first use, weights named by their hash, and debug handles left out.
    Where a number comes from is left out as well: ExecuTorch hands it to the delegate as an
    input, and direct lowering writes it into the delegate. The kernels are the same.
    """
    numbers: dict[int, int] = {}
    of_layers: set[int] = set()  # filters and biases, which are no numbers
    nodes = []
    for node in graph.xnodes:
        fields = []
        for name, field in vars(node.xnode_union).items():
            if name in ("filter_id", "bias_id"):
                of_layers.add(field)
            if name.endswith("_id"):
                field = numbers.setdefault(field, len(numbers))
            fields.append((name, tuple(field) if isinstance(field, list) else field))
        limits = node.output_min_max
        nodes.append(
            (
                type(node.xnode_union).__name__,
                fields,
                limits and (float(limits.output_min), float(limits.output_max)),
            )
        )
    values = []
    for id_ in numbers:
        if id_ < len(graph.xvalues):  # a missing bias has an id beyond all others
            value = graph.xvalues[id_].xvalue_union
            weight = graph.constant_data[value.constant_buffer_idx].named_key
            is_number = list(value.dims) == [1] and id_ not in of_layers
            held = () if is_number else (value.flags, weight)
            values.append((value.datatype, list(value.dims), *held))
    return nodes, values


def run(data: bytes, x: Tensor) -> Tensor:
    """Run a program of one input and one output, and return its output."""
    return next(running.outputs(data, [x]))


class EveryKind(nn.Module):
    """A network with every kernel kind of direct lowering; its input has 3 channels."""

    def __init__(self) -> None:
        """Build the network."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.Hardswish()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.SiLU(), nn.Conv2d(4, 8, 1), nn.Sigmoid())
        self.average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.maximum = nn.MaxPool2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.activations = nn.Sequential(nn.PReLU(8), nn.LeakyReLU(), nn.GELU(), nn.Tanh())
        self.rounded = nn.MaxPool2d(2, ceil_mode=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (batch, 5)."""
        x = self.stem(x)
        y = self.depthwise(x)
        y = y * self.gate(y.mean((2, 3), keepdim=True))
        y = torch.relu(self.maximum(self.average(x) + y))
        y = self.activations(self.up(self.norm(y)))[:, :, 1:]
        y = torch.clamp(y / 6.0 + 0.5, 0.0, 1.0) - nn.functional.relu6(y + 3.0)
        y = nn.functional.interpolate(self.rounded(y), scale_factor=2, mode="bilinear")
        shuffled = y.view(1, 2, 4, *y.shape[2:]).transpose(1, 2).contiguous().view(y.shape)
        parts = (y, torch.softmax(shuffled, dim=-1), *(torch.sigmoid(y * s) for s in (1.0, 2.0)))
        y = self.pool(torch.cat((*parts, torch.relu(y), torch.relu(shuffled)), dim=1))
        out: Tensor = self.classifier(torch.flatten(y, 1))
        return out
