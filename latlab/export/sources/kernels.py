"""From the nodes of the graphs that ExecuTorch lowers to the sources of a program's kernels."""

from __future__ import annotations

import contextlib
import operator
from collections import deque
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.exir import ExecutorchProgramManager, memory
from executorch.exir.delegate import executorch_call_delegate
from torch import fx
from torch._ops import HigherOrderOperator

from latlab.domain.program import KernelSource
from latlab.export.sources.nodes import mark, source_of
from latlab.programs.tables import xnnpack_graph
from latlab.programs.xnnpack_kernels import kernel_nodes

Sources = tuple[KernelSource | None, ...]

# Calls in an emitted graph that become no instruction which takes time.
_WITHOUT_KERNEL = {operator.getitem, memory.alloc, memory.view, memory.free}


def sources_of(nodes: Sequence[fx.Node]) -> Sources:
    """Return where nodes of one graph come from.

    ExecuTorch adds nodes that the user's code does not have, such as changes of the layout. Such
    a node comes from where the nearest node that reads it does, or else the nearest before it.
    """
    return tuple(source_of(node) or _nearest(node) for node in nodes)


def _nearest(node: fx.Node) -> KernelSource | None:
    for step in ("users", "all_input_nodes"):
        waiting, seen = deque([node]), {node}
        while waiting:
            for neighbour in getattr(waiting.popleft(), step):
                if neighbour.op != "call_function" or neighbour in seen:
                    continue
                source = source_of(neighbour)
                if source is not None:
                    return source
                seen.add(neighbour)
                if neighbour.target is not executorch_call_delegate:
                    waiting.append(neighbour)
    return None


class DelegateSources:
    """The sources of the kernels of XNNPACK's graphs, by the payloads that the graphs became."""

    def __init__(self) -> None:
        """Begin with no graph."""
        self._by_payload: dict[bytes, Sources] = {}

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Collect from each graph that ExecuTorch delegates in the `with` block."""
        nodes: list[fx.Node] = []  # for each node of the graph that is being written
        get_visitors = xnnpack_preprocess.get_node_visitors
        serialize = xnnpack_preprocess.serialize_xnnpack_binary

        def noting_visitors(*args: Any) -> dict[str, Any]:  # noqa: ANN401 -- ExecuTorch is untyped
            nodes.clear()
            return {name: _noting(each, nodes) for name, each in get_visitors(*args).items()}

        def serialize_and_keep(graph: Any, constants: bytearray) -> bytes:  # noqa: ANN401
            payload: bytes = serialize(graph, constants)
            kernels = kernel_nodes(xnnpack_graph(memoryview(payload)))
            self._by_payload[payload] = sources_of([nodes[number] for number in kernels])
            return payload

        with (
            mock.patch.object(xnnpack_preprocess, "get_node_visitors", noting_visitors),
            mock.patch.object(xnnpack_preprocess, "serialize_xnnpack_binary", serialize_and_keep),
            _replacements_marked(),
        ):
            yield

    def of_program(self, manager: ExecutorchProgramManager) -> Sources:
        """Return where each kernel of a program comes from, in the order of its instructions."""
        return self._of_graph(manager.exported_program().graph_module)

    def _of_graph(self, module: fx.GraphModule) -> Sources:
        sources: list[KernelSource | None] = []
        for node in module.graph.nodes:
            if node.op != "call_function" or node.target in _WITHOUT_KERNEL:
                continue
            if node.target is executorch_call_delegate:
                lowered: Any = module.get_submodule(node.args[0].target)
                sources += self._by_payload.get(lowered.processed_bytes, ())
            elif isinstance(node.target, HigherOrderOperator):
                for part in _branches(node, module):
                    sources += self._of_graph(part)
            else:
                sources += sources_of([node])
        return tuple(sources)


def _noting(visitor: Any, nodes: list[fx.Node]) -> Any:  # noqa: ANN401 -- ExecuTorch is untyped
    """Return a visitor that also adds a node for each one that it writes into XNNPACK's graph."""

    def define_node(node: fx.Node, graph: Any, *args: Any) -> None:  # noqa: ANN401
        before = len(graph.xnodes)
        visitor.define_node(node, graph, *args)
        nodes.extend([node] * (len(graph.xnodes) - before))

    return SimpleNamespace(define_node=define_node)


@contextlib.contextmanager
def _replacements_marked() -> Iterator[None]:
    """Let a node without a source that takes the place of another one take its source too."""
    replace = fx.Node.replace_all_uses_with

    def replace_and_mark(node: fx.Node, other: fx.Node, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        replaced = replace(node, other, *args, **kwargs)  # which may copy the node's meta itself
        if other.op == "call_function" and source_of(other) is None:
            mark(other, source_of(node))
        return replaced

    with mock.patch.object(fx.Node, "replace_all_uses_with", replace_and_mark):
        yield


def _branches(node: fx.Node, module: fx.GraphModule) -> Iterator[fx.GraphModule]:
    """Yield the graphs that a call of torch.cond and the like chooses from."""
    for argument in node.args:
        if isinstance(argument, fx.Node) and argument.op == "get_attr":
            part = getattr(module, str(argument.target))
            if isinstance(part, fx.GraphModule):
                yield part
