"""Whether direct lowering makes what stock lowering makes."""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import torch
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph
from torch import Tensor, nn

from latlab.domain.kernel import Shape
from latlab.export.execution.checking import random_input
from latlab.export.lowering import direct, stock
from latlab.export.lowering.edge_operators import edge_module
from latlab.export.lowering.preparation import prepare

PROVED_WITH = "1.5.1"  # by the tests, kernel kind by kernel kind
TOLERANCE = 1e-5  # of the largest output


@functools.cache
def direct_lowering_holds() -> bool:
    """At once with the version it was proved with. Any other has to agree on a network of
    every kernel kind first, which takes seconds, once for each process."""
    if version("executorch") == PROVED_WITH:
        return True
    try:
        return agrees(EveryKind(), (1, 3, 16, 16))
    except Exception:  # whatever it may raise where its insides have moved
        return False


def agrees(module: nn.Module, input_shape: Shape) -> bool:
    """Both ways the same nodes in the same order over the same weights, and outputs within
    TOLERANCE. Raises `edge_graph.Unsupported` where there is no direct way."""
    prepared = prepare(module, input_shape)
    direct_data, _ = direct.lower(prepared)
    direct_graph, _ = direct.xnnpack_graph(edge_module(prepared))
    x = random_input(input_shape, torch.float32)
    with stock.captured_graphs() as graphs:
        stock_data, _, _ = stock.lower(prepared, input_shape)
    if [canonical(graph) for graph in graphs.values()] != [canonical(direct_graph)]:
        return False
    expected, actual = run(stock_data, x), run(direct_data, x)
    return float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def canonical(graph: XNNGraph) -> tuple[list[Any], list[Any]]:
    """Nodes and values of a graph, equal for graphs that compute the same in the same
    order: values are numbered by first use, weights named by their hash, and debug handles
    left out."""
    numbers: dict[int, int] = {}
    nodes = []
    for node in graph.xnodes:
        fields = []
        for name, field in vars(node.xnode_union).items():
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
        if id_ < len(graph.xvalues):  # a bias that is not there has an id beyond all others
            value = graph.xvalues[id_].xvalue_union
            weight = graph.constant_data[value.constant_buffer_idx].named_key
            values.append((value.datatype, list(value.dims), value.flags, weight))
    return nodes, values


def run(data: bytes, x: Tensor) -> Tensor:
    """The output of a program of one input and one output."""
    from latlab.export.execution.running import outputs

    return next(outputs(data, [x]))


class EveryKind(nn.Module):
    """A network with each kernel kind of direct lowering in it; takes 3 channels."""

    def __init__(self) -> None:
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
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.depthwise(x)
        y = y * self.gate(y.mean((2, 3), keepdim=True))
        y = torch.relu(self.maximum(self.average(x) + y))
        y = self.pool(torch.cat((y, torch.relu(y)), dim=1))
        out: Tensor = self.classifier(torch.flatten(y, 1))
        return out
