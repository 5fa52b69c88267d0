"""ExecuTorch's own lowering, which takes any module that torch.export takes, in 5 to 15 s."""

from __future__ import annotations

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch import fx, nn
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from latlab.domain.errors import ExportError
from latlab.export.execution.causes import advice_for, explained, named_node, place
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.lowering.lowered_program import LoweredProgram
from latlab.export.lowering.repairs import (
    fused_one_after_another,
    graphs_not_printed,
    normed_one_after_another,
    operators_listed_once,
    origins_shared,
    patterns_searched_where_possible,
)
from latlab.export.sources.kernels import DelegateSources
from latlab.export.sources.nodes import marked_while_traced
from latlab.programs.reader import read_program


def lower(module: nn.Module, inputs: Inputs) -> LoweredProgram:
    """Lower a module in evaluation mode.

    Raises:
        ExportError: ExecuTorch cannot lower it. The message names the operator or construct.
    """
    example = example_of(module, inputs)
    graph: fx.Graph | None = None
    try:
        exported = traced(module, example)
        graph = exported.graph
        return _lower(exported)
    except MemoryError:
        raise
    except Exception as error:
        reason = _shaped_by_values(graph) or explained(error, module, graph)
        raise ExportError(f"ExecuTorch cannot lower this network: {reason}") from error


def traced(module: nn.Module, example: Example) -> ExportedProgram:
    """Return what torch.export makes of a module. Raises any of its errors.

    The nodes of its graph are marked with where they come from in the user's code.
    """
    with operators_listed_once(), origins_shared(), graphs_not_printed():
        return marked_while_traced(
            module, lambda: torch.export.export(module, example.args, dict(example.kwargs))
        )


def place_of_operator(text: str, module: nn.Module, example: Example) -> str:
    """Return where the operator that an error names is in a module, and what to try.

    Args:
        text: The error's text.
        module: A module that `lower` takes.
        example: Its inputs.
    """
    exported = traced(module, example)
    if "::" not in text:
        reason = _shaped_by_values(exported.graph)
        return reason and f"; {reason}"
    node = named_node(text, exported.run_decompositions().graph)
    return place(node) + advice_for(text)


def _shaped_by_values(graph: fx.Graph | None) -> str:
    """Say which operator's output has a shape that depends on values, if one has."""
    for node in () if graph is None else graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and free_unbacked_symbols(value):
            return (
                f"the shape of an output is data-dependent{place(node)}: choose with torch.where, "
                "instead of nonzero and masks, or compute it outside of the network"
            )
    return ""


def _lower(exported: ExportedProgram) -> LoweredProgram:
    delegates = DelegateSources()
    with (
        fused_one_after_another(),
        normed_one_after_another(),
        operators_listed_once(),
        origins_shared(),
        patterns_searched_where_possible(),
        delegates.collected(),
    ):
        edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        manager = edge.to_executorch()
    data = manager.buffer
    listing = read_program(data)
    sources = delegates.of_program(manager)
    if len(sources) != len(listing.kernels):  # as in loops, for which ExecuTorch adds operators
        sources = ()
    return LoweredProgram(data, listing.kernels, listing.undelegated, sources)
