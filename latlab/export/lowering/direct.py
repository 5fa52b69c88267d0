"""Direct lowering: makes the same program as ExecuTorch's own lowering, thirty times faster.

It takes convolutional networks of the operators in `latlab.export.lowering.edge`.

ExecuTorch's own ("stock") lowering spends its time on tracing the network again after every pass.
Here the edge graph is written once from the traced module. ExecuTorch's own code then fuses
activations, chooses layouts and serializes, so that the programs stay the same.
"""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any, get_type_hints
from unittest import mock

import executorch.backends.xnnpack.operators  # noqa: F401 -- registers the node visitors
from executorch.backends.xnnpack._passes.channels_last_tagged_reshape_pass import (
    ChannelsLastTaggedReshapePass,
)
from executorch.backends.xnnpack._passes.fuse_activation_pass import FuseActivationPass
from executorch.backends.xnnpack._passes.remove_redundant_copy_pass import RemoveRedundantCopyPass
from executorch.backends.xnnpack.operators.node_visitor import get_node_visitors
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    ConstantDataOffset,
    XNNGraph,
)
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    serialize_xnnpack_binary,
)
from executorch.backends.xnnpack.xnnpack_preprocess import generate_node_to_external_map
from executorch.exir import schema
from executorch.exir._serialize import _dataclass
from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir._serialize._program import PTEFile, serialize_pte_binary
from executorch.exir.pass_base import ExportPass, PassResult
from executorch.exir.scalar_type import ScalarType
from torch import fx, nn
from torch.utils import _pytree as pytree

from latlab.domain.kernel import Shape
from latlab.export.lowering.edge.graph import EdgeModule
from latlab.export.lowering.edge.layers import edge_module
from latlab.export.lowering.lowered_program import LoweredProgram
from latlab.export.lowering.repairs import fused_one_after_another
from latlab.export.sources.kernels import sources_of
from latlab.programs.reader import read_program

# The serializer resolves the type hints of a class for every field of every object. Caching them
# halves the time of an export.
_cached_type_hints = functools.cache(get_type_hints)

# ExecuTorch's memory planner has the same values.
_ALIGNMENT_BYTES = 16
_OVERREAD_BYTES = 64  # XNNPACK's kernels may read so far beyond their input


def lower(module: nn.Module) -> LoweredProgram:
    """Lower a module that `prepare` returned; every operator is delegated to XNNPACK.

    Raises:
        edge.graph.Unsupported: The module could not be traced, or only ExecuTorch's own lowering
            takes one of its operators.
    """
    edge = edge_module(module)
    graph, weights = xnnpack_graph(edge)
    with mock.patch.object(_dataclass, "get_type_hints", _cached_type_hints):
        payload = serialize_xnnpack_binary(graph, bytearray())
    program = PTEFile(_program(payload, edge), named_data=weights.get_named_data_store_output())
    data = bytes(serialize_pte_binary(program, extract_delegate_segments=True))
    kernels = read_program(data).kernels
    # The handle of each node in XNNPACK's graph is the number of its node in the edge graph.
    nodes = list(edge.graph.nodes)
    sources = sources_of([nodes[node.debug_handle] for node in graph.xnodes])
    return LoweredProgram(data, kernels, (), sources)


def xnnpack_graph(edge: EdgeModule) -> tuple[XNNGraph, NamedDataStore]:
    """Return the XNNPACK graph and the weights by hash that ExecuTorch makes of an edge graph."""
    # The weights are attributes of the module, which the code below supports, so this is all it
    # needs of an ExportedProgram.
    exported: Any = SimpleNamespace(
        graph_module=edge,
        graph_signature=SimpleNamespace(
            inputs_to_parameters={}, inputs_to_buffers={}, inputs_to_lifted_tensor_constants={}
        ),
    )
    with fused_one_after_another():
        for transform in (_FuseActivation, _AssignLayouts, _RemoveRedundantCopies):
            transform(exported).call(edge)
    externals = generate_node_to_external_map(exported, edge)
    weights = NamedDataStore()
    visitors = get_node_visitors(exported, externals, weights)
    graph = XNNGraph(
        version="0",
        xnodes=[],
        xvalues=[],
        num_externs=len(externals),
        input_ids=[],
        output_ids=[],
        constant_data=[ConstantDataOffset(0, 0)],
    )
    ids: dict[fx.Node, int] = {}
    for index, node in enumerate(edge.graph.nodes):
        if node.op == "call_function":
            visitors[node.target.__name__].define_node(node, graph, ids, index)
    return graph, weights


class _WithoutRetracing(ExportPass):  # type: ignore[misc]  # ExecuTorch is untyped
    """Replaces the tracing that every stock pass ends with, if inherited after the pass.

    Only shapes and types are read later. A node that a pass adds changes the layout, and has the
    shape and type of its input.
    """

    def call(self, graph_module: EdgeModule) -> PassResult:
        for node in graph_module.graph.nodes:
            if "val" not in node.meta and node.op == "call_function":
                node.meta["val"] = node.args[0].meta["val"]
        return PassResult(graph_module, True)


class _FuseActivation(FuseActivationPass, _WithoutRetracing):  # type: ignore[misc]
    pass


class _AssignLayouts(ChannelsLastTaggedReshapePass, _WithoutRetracing):  # type: ignore[misc]
    pass


class _RemoveRedundantCopies(RemoveRedundantCopyPass, _WithoutRetracing):  # type: ignore[misc]
    pass


def _program(payload: bytes, edge: EdgeModule) -> schema.Program:
    """Return a program of one delegate call, as ExecuTorch's emitter writes it."""
    inputs = [node for node in edge.graph.nodes if node.op == "placeholder"]
    (outputs,) = next(reversed(edge.graph.nodes)).args
    values, used_bytes = [], 0
    for node in (*inputs, *outputs):
        shape = tuple(node.meta["val"].shape)
        values.append(schema.EValue(_tensor(shape, used_bytes)))
        used_bytes += _planned_bytes(shape)
    numbers = list(range(len(values)))
    input_tree = pytree.tree_structure((tuple(inputs), {}))
    plan = schema.ExecutionPlan(
        name="forward",
        container_meta_type=schema.ContainerMetadata(
            pytree.treespec_dumps(input_tree), edge.output_tree
        ),
        values=values,
        inputs=numbers[: len(inputs)],
        outputs=[len(inputs) + place for place in edge.output_order],
        chains=[
            schema.Chain(
                inputs=[],
                outputs=[],
                instructions=[schema.Instruction(schema.DelegateCall(0, numbers))],
                stacktrace=None,
            )
        ],
        operators=[],
        delegates=[
            schema.BackendDelegate(
                id="XnnpackBackend",
                processed=schema.BackendDelegateDataReference(schema.DataLocation.INLINE, 0),
                compile_specs=[],
            )
        ],
        non_const_buffer_sizes=[0, used_bytes + _OVERREAD_BYTES],
    )
    return schema.Program(
        version=0,
        execution_plan=[plan],
        constant_buffer=[schema.Buffer(b"")],
        backend_delegate_data=[schema.BackendDelegateInlineData(payload)],
        segments=[],
        constant_segment=schema.SubsegmentOffsets(0, []),
    )


def _tensor(shape: Shape, offset_bytes: int) -> schema.Tensor:
    return schema.Tensor(
        scalar_type=ScalarType.FLOAT,
        storage_offset=0,
        sizes=list(shape),
        dim_order=list(range(len(shape))),
        requires_grad=False,
        layout=0,
        data_buffer_idx=0,
        allocation_info=schema.AllocationDetails(1, offset_bytes & 0xFFFFFFFF, offset_bytes >> 32),
        shape_dynamism=schema.TensorShapeDynamism.STATIC,
    )


def _planned_bytes(shape: Shape) -> int:
    return -(-4 * math.prod(shape) // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
