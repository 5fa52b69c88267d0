"""Mark the nodes of torch's graphs with the user's code that they come from.

The mark is in the part of a node's meta that torch, torchao and ExecuTorch hand on from graph to
graph. It changes nothing in the program.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from types import CodeType, FrameType
from typing import Any, TypeVar
from unittest import mock

from torch import fx, nn
from torch.fx.proxy import TracerBase

from latlab.domain.program import KernelSource
from latlab.export.execution.user_code import is_users, users_place
from latlab.export.sources.files import shown_file

T = TypeVar("T")

_HANDED_ON = "custom"
_MARK = "latlab_source"
_WRAPPED = "network."  # where this package's wrappers keep the network


def mark(node: fx.Node, source: KernelSource | None) -> None:
    """Say where a node comes from; nothing if that is not known."""
    if source is not None:
        node.meta[_HANDED_ON] = {**(node.meta.get(_HANDED_ON) or {}), _MARK: source}


def source_of(node: fx.Node) -> KernelSource | None:
    """Return where a node comes from, or None if that is not known.

    A node without a mark, such as one of a graph that was read from a file, says it by the stack
    trace and the modules that torch.export has recorded.
    """
    marked = _marked(node)
    if marked is not None:
        return marked
    file, line = users_place(node.meta.get("stack_trace") or "")
    modules = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = map(str, modules[-1]) if modules else ("", "")
    if not file and not path:
        return None
    kind = "" if "<locals>" in kind else kind.rpartition(".")[2].rstrip("'>")
    return KernelSource(path, kind, shown_file(file) if file else "", line)


class RunningCode:
    """Finds the user's line and the module whose code runs now, from Python's stack."""

    def __init__(self, network: nn.Module) -> None:
        """Prepare for the code of a network, which the export may have wrapped."""
        own = _unwrapped(network)
        self._modules = {id(part): (name, part) for name, part in own.named_modules()}
        self._generated: dict[CodeType, fx.GraphModule] = {
            part.forward.__code__: part
            for part in network.modules()
            if isinstance(part, fx.GraphModule) and hasattr(part.forward, "__code__")
        }

    def run(self, call: Callable[[], T]) -> T:
        """Make a call that runs the network's code. Code outside of it is not the network's."""
        return call()

    def source(self, layer: nn.Module | None = None) -> KernelSource | None:
        """Return where the code that runs now comes from; None if it is not the network's.

        A network that runs PyTorch's code only, such as a subclass of nn.Sequential without a
        forward method of its own, has the line of its __init__ method.

        Args:
            layer: The layer that is being called, where its own code does not run.
        """
        module = self._modules.get(id(layer))
        place: tuple[str, int] | None = None
        built: tuple[str, int] | None = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not _OUTERMOST:
            code = frame.f_code
            if code in self._generated:
                node = _running_node(self._generated[code], frame.f_lineno)
                if node is not None and (source := source_of(node)) is not None:
                    return _within(source, module)
            running = self._modules.get(id(_first_argument(frame)))
            module = module or running
            built = built or (running and _place_of_init(running[1]))
            if place is None and is_users(code.co_filename):
                place = shown_file(code.co_filename), frame.f_lineno
            if module is not None and place is not None:
                break
            frame = frame.f_back
        place = place or built
        if module is None or (place is None and isinstance(module[1], fx.GraphModule)):
            return None  # as of a conversion that quantization has added
        name, part = module
        return KernelSource(name, type(part).__name__, *(place or ()))

    def refined(self, source: KernelSource) -> KernelSource:
        """Return the source of a layer in the part of the layer whose code runs now."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not _OUTERMOST:
            module = self._modules.get(id(_first_argument(frame)))
            if module is not None:
                return _within(source, module)
            frame = frame.f_back
        return source


_OUTERMOST = RunningCode.run.__code__


def _within(source: KernelSource, module: tuple[str, nn.Module] | None) -> KernelSource:
    """Return a source in the part of its module whose code runs, if that is known."""
    name, part = module or ("", None)
    for path in (name, name.removeprefix(_WRAPPED)):
        if part is not None and path.startswith(f"{source.module}."):
            return replace(source, module=path, module_type=type(part).__name__)
    return source


def _place_of_init(module: nn.Module) -> tuple[str, int] | None:
    """Return the file and the line of a module's __init__ method, if the user has written it."""
    code = getattr(type(module).__init__, "__code__", None)
    if not isinstance(code, CodeType) or not is_users(code.co_filename):
        return None
    return shown_file(code.co_filename), code.co_firstlineno


def _first_argument(frame: FrameType) -> Any:  # noqa: ANN401 -- `self`, where it is a method
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def _running_node(module: fx.GraphModule, line: int) -> fx.Node | None:
    """Return the node that a line of a graph's generated code computes."""
    place = module._lineno_map.get(line - module._prologue_start)
    return None if place is None else next(islice(module.graph.nodes, place, None), None)


def _unwrapped(network: nn.Module) -> nn.Module:
    """Return the network in what this package has wrapped around it."""
    while type(network).__module__.startswith("latlab.") and isinstance(
        inner := getattr(network, _WRAPPED.rstrip("."), None), nn.Module
    ):
        network = inner
    return network


def marked_while_traced(network: nn.Module, export: Callable[[], T]) -> T:
    """Let torch export a network, and mark each node that it makes on the way."""
    running = RunningCode(network)
    create_node = TracerBase.create_node

    def create_marked(tracer: TracerBase, kind: str, *args: Any, **kwargs: Any) -> fx.Node:  # noqa: ANN401
        node = create_node(tracer, kind, *args, **kwargs)
        if kind == "call_function":
            # While torch.export runs a graph, it hands on the marks of the graph's nodes.
            marked = _marked(node)
            mark(node, running.refined(marked) if marked else running.source())
        return node

    with mock.patch.object(TracerBase, "create_node", create_marked):
        return running.run(export)


def _marked(node: fx.Node) -> KernelSource | None:
    source = (node.meta.get(_HANDED_ON) or {}).get(_MARK)
    return source if isinstance(source, KernelSource) else None
