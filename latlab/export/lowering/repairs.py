"""Context managers that fix two bugs of ExecuTorch 1.5's lowering, and three wastes of time.

Each patches ExecuTorch or torch.export inside its `with` block, and restores it afterwards.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from unittest import mock

from executorch.backends.xnnpack._passes.convert_to_sdpa import ConvertToSDPAPass
from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import (
    ConvertToUpsampleBilinear2d,
)
from executorch.backends.xnnpack._passes.decompose_batch_norm import DecomposeBatchNorm
from executorch.backends.xnnpack._passes.fuse_activation_pass import FuseActivationPass
from executorch.backends.xnnpack._passes.xnnpack_pass import XNNPACKPass
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import OutputMinMax
from torch import fx
from torch._export import utils as export_utils
from torch.export import _trace as export_trace
from torch.fx import traceback as fx_traceback
from torch.fx.passes.infra.pass_base import PassResult

# The passes that search for a pattern of operators, and parts of the names of operators that each
# match contains.
_SEARCHES: tuple[tuple[type[XNNPACKPass], tuple[str, ...]], ...] = (
    (ConvertToSDPAPass, ("softmax",)),
    (ConvertToUpsampleBilinear2d, ("upsample_bilinear2d",)),
)


@contextlib.contextmanager
def fused_one_after_another() -> Iterator[None]:
    """Make ExecuTorch's fusion respect both of two activations in a row.

    It forgets the first one: a convolution followed by ReLU6 and ReLU would lose the upper limit.
    """
    limits_of = FuseActivationPass.get_output_min_max_from_activation

    def limits_of_all(fusion: FuseActivationPass, activation: fx.Node) -> OutputMinMax:
        limits = limits_of(fusion, activation)
        earlier = FuseActivationPass.get_fused_activation(activation.args[0])
        if earlier is None:
            return limits
        low, high = float(limits.output_min), float(limits.output_max)
        return OutputMinMax(
            *(_written(min(max(float(limit), low), high)) for limit in vars(earlier).values())
        )

    with mock.patch.object(FuseActivationPass, "get_output_min_max_from_activation", limits_of_all):
        yield


@contextlib.contextmanager
def normed_one_after_another() -> Iterator[None]:
    """Make ExecuTorch's decomposition take two batch-norms in a row.

    It fails on the second one, because the replacement of the first has no shape.
    """
    decompose = DecomposeBatchNorm.decompose_node

    def decompose_with_shape(
        decomposition: DecomposeBatchNorm, norm: fx.Node, module: fx.GraphModule
    ) -> None:
        readers = [reader for output in norm.users for reader in output.users]
        computed = norm.all_input_nodes[0].meta["val"]  # has the same shape
        decompose(decomposition, norm, module)
        for reader in readers:
            for value in reader.all_input_nodes:
                value.meta.setdefault("val", computed)

    with mock.patch.object(DecomposeBatchNorm, "decompose_node", decompose_with_shape):
        yield


@contextlib.contextmanager
def operators_listed_once() -> Iterator[None]:
    """Let torch.export ask the dispatcher only once for all composite operators.

    By itself it asks two hundred times in a lowering, which takes a quarter of the time.
    """
    list_operators = functools.cache(export_utils._materialize_cpp_cia_ops)
    with mock.patch.object(export_utils, "_materialize_cpp_cia_ops", list_operators):
        yield


@contextlib.contextmanager
def origins_shared() -> Iterator[None]:
    """Let nodes of a graph share the record of the nodes that they were made from.

    Every pass of a lowering makes all nodes anew. By itself it copies the whole record each time,
    which grows with each pass and takes a sixth of the time for MobileNetV2 in int8.
    """
    shared = SimpleNamespace(copy=copy.copy, deepcopy=list)
    with mock.patch.object(fx_traceback, "copy", shared):
        yield


@contextlib.contextmanager
def graphs_not_printed() -> Iterator[None]:
    """Keep torch.export from printing what it has traced when it fails."""
    with mock.patch.object(export_trace, "print", create=True):
        yield


@contextlib.contextmanager
def patterns_searched_where_possible() -> Iterator[None]:
    """Let ExecuTorch search for attention and resizing only where their operators occur.

    The first search of a process exports six example networks, which takes 8 s.
    """
    with contextlib.ExitStack() as patches:
        for search, operators in _SEARCHES:
            patched = _searching_where(search.call, operators)
            patches.enter_context(mock.patch.object(search, "call", patched))
        yield


def _searching_where(
    search: Callable[[XNNPACKPass, fx.GraphModule], PassResult], operators: tuple[str, ...]
) -> Callable[[XNNPACKPass, fx.GraphModule], PassResult]:
    def call(graph_pass: XNNPACKPass, module: fx.GraphModule) -> PassResult:
        targets = [str(node.target) for node in module.graph.nodes]
        may_match = any(operator in target for target in targets for operator in operators)
        return search(graph_pass, module) if may_match else XNNPACKPass.call(graph_pass, module)

    return call


def _written(limit: float) -> float | str:
    """Return a limit as ExecuTorch's serializer takes it: infinity is a text."""
    return limit if math.isfinite(limit) else f"{limit:+}"
