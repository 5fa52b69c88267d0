"""The single operators of a network, each as a module that is exported by itself."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Shape
from latlab.export.time_limit import EXPORT_PROCESSOR_S, OutOfTime, limited_time

if TYPE_CHECKING:
    from torch import fx, nn

    from latlab.export.execution.example import Inputs

    Make = Callable[[], tuple[nn.Module, Inputs]]


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a network.

    Attributes:
        name: What it computes and its inputs' shapes; equal operators have equal names.
        shapes: The shapes of its inputs and outputs, as PyTorch has them.
        make: Makes it as a module, with its inputs. It pickles if the network's own does.
    """

    name: str
    shapes: tuple[Shape, ...]
    make: Make


def operators_of(make: Make) -> list[Operator]:
    """Return the distinct operators of a network, in the order in which they first run.

    The network is made and run in another process, which alone imports torch.

    Args:
        make: Makes the network and its inputs. It must pickle.

    Raises:
        ExportError: The network cannot be made or traced.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            described = process.submit(_described, make).result()
        except BrokenProcessPool as error:
            raise ExportError("the process that traces the network died") from error
    return [
        Operator(name, shapes, partial(_made, make, index))
        for index, (name, shapes) in enumerate(described)
    ]


def _described(make: Make) -> list[tuple[str, tuple[Shape, ...]]]:
    try:
        with limited_time():
            return [(name, shapes) for name, shapes, _, _ in _cut(make)]
    except OutOfTime:
        raise ExportError(
            f"taking the network apart needs more than {EXPORT_PROCESSOR_S} s of processor time: "
            "give a smaller one"
        ) from None


def _made(make: Make, index: int) -> tuple[nn.Module, Inputs]:
    _, _, module, inputs = _cut(make)[index]
    return module, inputs


_Cut = list[tuple[str, tuple[Shape, ...], "nn.Module", "Inputs"]]
# A worker that exports one operator will export the next one of the same network.
_latest: tuple[bytes, _Cut] = b"", []


def _cut(make: Make) -> _Cut:
    """Run a network, and cut out its distinct operators with the inputs that they have there."""
    global _latest
    key = pickle.dumps(make)
    if _latest[0] != key:
        _latest = key, _operators(_graph(*make()))
    return _latest[1]


def _graph(module: nn.Module, inputs: Inputs) -> tuple[fx.GraphModule, Sequence[Any]]:
    """Return a network's graph and the values of its inputs."""
    import torch
    from torch import fx

    from latlab.export.execution.example import example_of
    from latlab.export.lowering.preparation import prepare

    example = example_of(module, inputs)
    prepared = prepare(module, example)
    if isinstance(prepared, fx.GraphModule):
        return prepared, example.tensors
    try:
        exported = torch.export.export(prepared, example.args, dict(example.kwargs))
    except Exception as error:
        raise ExportError(f"the network cannot be taken apart: {error}") from error
    graph: Any = exported.module()
    return graph, example.tensors


def _operators(network: tuple[fx.GraphModule, Sequence[Any]]) -> _Cut:
    from torch import Tensor, fx, no_grad
    from torch.utils import _pytree as pytree

    graph_module, tensors = network
    found: dict[str, tuple[tuple[Shape, ...], nn.Module, Inputs]] = {}

    class Recorder(fx.Interpreter):
        """Runs the graph, and keeps the first of each distinct operator."""

        def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 -- as fx has it
            result = super().run_node(n)
            if n.op.startswith("call_"):
                values = {arg: self.env[arg] for arg in n.all_input_nodes if arg.op != "get_attr"}
                outputs = [x for x in pytree.tree_leaves(result) if isinstance(x, Tensor)]
                if values and outputs and all(isinstance(x, Tensor) for x in values.values()):
                    shapes = tuple(tuple(x.shape) for x in (*values.values(), *outputs))
                    name = _name(n, graph_module, values)
                    if name not in found:
                        module = _alone(n, graph_module)
                        found[name] = shapes, module, tuple(x.clone() for x in values.values())
            return result

    with no_grad():
        Recorder(graph_module).run(*tensors)
    return [(name, *rest) for name, rest in found.items()]


def _name(node: fx.Node, graph_module: fx.GraphModule, values: dict[fx.Node, Any]) -> str:
    """Describe an operator: what is called, on which shapes, with which other arguments."""
    what = graph_module.get_submodule(str(node.target)) if node.op == "call_module" else node.target

    def text(argument: fx.Node) -> Any:  # noqa: ANN401 -- a text in the place of a node
        value = values.get(argument)
        return "weight" if value is None else f"{tuple(value.shape)} {value.dtype}"

    from torch.fx.node import map_arg

    return f"{what} {map_arg(node.args, text)} {map_arg(node.kwargs, text)}"


def _alone(node: fx.Node, graph_module: fx.GraphModule) -> nn.Module:
    """Return the module that computes one node of a graph from its inputs."""
    from torch import fx

    graph = fx.Graph()
    copies = {
        argument: (
            graph.node_copy(argument)
            if argument.op == "get_attr"
            else graph.placeholder(f"input_{place}")
        )
        for place, argument in enumerate(node.all_input_nodes)
    }
    graph.output(graph.node_copy(node, lambda argument: copies[argument]))
    return fx.GraphModule(graph_module, graph)
