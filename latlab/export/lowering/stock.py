"""ExecuTorch's own lowering, which takes any module that torch.export takes, in 5 to 15 s."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph
from executorch.exir import to_edge_transform_and_lower
from torch import nn

from latlab.domain.kernel import Kernel, Shape
from latlab.export.lowering.repairs import (
    fused_one_after_another,
    normed_one_after_another,
    operators_listed_once,
    patterns_searched_where_possible,
)
from latlab.programs.reader import read_program


def lower(
    module: nn.Module, input_shape: Shape, dtype: torch.dtype = torch.float32
) -> tuple[bytes, tuple[Kernel, ...], tuple[str, ...]]:
    """Lower a module in evaluation mode; `dtype` is the input's.

    Raises any error of torch.export and ExecuTorch.

    Returns:
        The program's bytes, its kernels, and the operators outside the delegate.
    """
    with (
        fused_one_after_another(),
        normed_one_after_another(),
        operators_listed_once(),
        patterns_searched_where_possible(),
    ):
        exported = torch.export.export(module, (torch.zeros(input_shape, dtype=dtype),))
        edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        data = edge.to_executorch().buffer
    listing = read_program(data)
    return data, listing.kernels, listing.undelegated


@contextlib.contextmanager
def captured_graphs() -> Iterator[dict[bytes, XNNGraph]]:
    """Collect each XNNPACK graph that the `with` block serializes, by the payload it became."""
    graphs: dict[bytes, XNNGraph] = {}
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def capture(graph: XNNGraph, constants: bytearray) -> bytes:
        payload: bytes = serialize(graph, constants)
        graphs[payload] = graph
        return payload

    with mock.patch.object(xnnpack_preprocess, "serialize_xnnpack_binary", capture):
        yield graphs
