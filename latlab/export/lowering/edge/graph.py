"""Write a traced module as the edge graph that ExecuTorch would decompose it to.

`layers` and `functions` say which operators there are, and what each becomes.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from executorch.exir.dialects._ops import ops
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import TensorMetadata
from torch.utils import _pytree as pytree

from latlab.domain.errors import LabError
from latlab.domain.kernel import Shape
from latlab.domain.program import KernelSource
from latlab.export.lowering.edge.plain_layers import is_compact, is_plain
from latlab.export.sources.nodes import mark, source_of

aten = ops.edge.aten

Value = fx.Node  # a node of the edge graph

# What PyTorch computes without copying.
_VIEWS = {aten.view_copy.default, aten.permute_copy.default, aten.slice_copy.Tensor}


class Unsupported(LabError):
    """The network holds something that only stock lowering knows; the message names it."""


class EdgeModule(nn.Module):
    """An edge graph in a module whose attributes are the weights, for passes to work on.

    An fx.GraphModule would generate its code anew after each pass.

    Attributes:
        graph: The graph. It returns its outputs in the order in which they are computed.
        output_order: For each output of the network its place among those of the graph.
        output_tree: How the network returns its outputs, as torch.export describes it.
    """

    def __init__(self) -> None:
        """Begin with an empty graph."""
        super().__init__()
        self.graph = fx.Graph()
        self.output_order: list[int] = []
        self.output_tree = ""

    def recompile(self) -> None:
        """Do nothing: the graph is serialized, never run."""


# Emits a layer, function or method. Its arguments are the builder, the layer if there is one, and
# the arguments of the call.
Handler = Callable[..., Value]


class Handlers(NamedTuple):
    """The functions that write a traced call as edge nodes, by layer type, function or method."""

    layers: Mapping[Any, Handler]
    functions: Mapping[Any, Handler]
    methods: Mapping[Any, Handler]


def build(module: nn.Module, handlers: Handlers) -> EdgeModule:
    """Return the edge graph of a module that `prepare` returned, with shapes in meta["val"].

    Raises:
        Unsupported: Only stock lowering can lower the module.
    """
    if not isinstance(module, fx.GraphModule):
        raise Unsupported("the network cannot be traced")
    builder = Builder(handlers)
    for node in module.graph.nodes:
        builder.add(node, module)
    return builder.module


class Builder:
    """Builds an edge graph, node by node.

    Attributes:
        module: The edge graph with its weights.
        graph: The same graph without its weights.
        shape: Shape of what the traced node that is being added computes.
    """

    def __init__(self, handlers: Handlers) -> None:
        """Begin with an empty graph."""
        self._handlers = handlers
        self.module = EdgeModule()
        self.graph = self.module.graph
        self._values: dict[fx.Node, Value] = {}
        self._weights: dict[int, Value] = {}  # by identity, because layers may share them
        self._aliases: set[fx.Node] = set()  # traced nodes that share their input's memory
        self._source: KernelSource | None = None
        self.shape: Shape = ()

    def add(self, node: fx.Node, traced: fx.GraphModule) -> None:
        """Add to the edge graph what a node of the traced module becomes. Raises Unsupported."""
        if node.op == "output":
            self._output(node)
            return
        require(len(node.users) > 0, f"nothing uses {node.name}")
        meta = node.meta.get("tensor_meta")
        if not isinstance(meta, TensorMetadata) or meta.dtype != torch.float32:
            raise Unsupported(f"{node.name} in the network is not one tensor of float32")
        self.shape = tuple(meta.shape)
        self._source = source_of(node)
        if node.op == "placeholder":
            self._values[node] = self._input(node)
        elif node.op == "call_module":
            layer = traced.get_submodule(str(node.target))
            require(is_plain(layer), f"{node.target} computes more than its type says")
            self._call(node, self._handlers.layers, type(layer), layer)
        elif node.op == "call_function":
            self._call(node, self._handlers.functions, node.target)
        elif node.op == "call_method":
            self._call(node, self._handlers.methods, node.target)
        else:
            raise Unsupported(f"direct lowering does not know {node.op} {node.target}")

    def emit(self, target: Any, *args: Any, shape: Shape | None = None) -> Value:  # noqa: ANN401
        """Add an operator's call to the edge graph and return its node.

        It comes from where the traced node that is being added does.

        Args:
            target: The operator.
            args: Its arguments.
            shape: Shape of what it computes, where that is not what the traced node computes.
        """
        value = self.graph.call_function(target, args)
        mark(value, self._source)
        value.meta["val"] = _on_meta(self.shape if shape is None else shape)
        return value

    def weight(self, tensor: Tensor) -> Value:
        """Return the edge graph's node for a weight; add it if it is new. Raises Unsupported."""
        if id(tensor) not in self._weights:
            require(
                is_compact(tensor) and tensor.dtype == torch.float32,
                "a weight is not a plain tensor of float32",
            )
            self._weights[id(tensor)] = self.constant(tensor)
        return self._weights[id(tensor)]

    def constant(self, tensor: Tensor) -> Value:
        """Add a constant to the edge graph and return its node."""
        name = f"constant_{len(self.module._buffers)}"
        self.module.register_buffer(name, tensor.detach())
        value = self.graph.get_attr(name)
        value.meta["val"] = _on_meta(tuple(tensor.shape))
        return value

    def _input(self, node: fx.Node) -> Value:
        value = self.graph.placeholder(node.name)
        value.meta["val"] = _on_meta(self.shape)
        return value

    def _output(self, node: fx.Node) -> None:
        leaves, tree = pytree.tree_flatten(_ordinary(node.args[0]))
        outputs = [self._values[leaf] for leaf in leaves if isinstance(leaf, fx.Node)]
        computed = [value for value in self.graph.nodes if value in outputs]
        require(
            0 < len(leaves) == len(outputs) == len(computed)
            and all(value.op == "call_function" for value in outputs),
            "the network must return tensors, each once, and neither an input nor a constant",
        )
        self.module.output_order = list(map(computed.index, outputs))
        self.module.output_tree = pytree.treespec_dumps(tree)
        self.graph.output(tuple(computed))

    def _call(
        self,
        node: fx.Node,
        handlers: Mapping[Any, Handler],
        key: object,
        *layer: nn.Module,
    ) -> None:
        try:
            handler = handlers[key]
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), self._values.__getitem__)
            call = inspect.signature(handler).bind(self, *layer, *args, **kwargs)
        except (KeyError, TypeError):
            raise Unsupported(
                f"direct lowering does not know this call of {node.op} {node.target} ({key})"
            ) from None
        in_place = _is_in_place(key, call.arguments)
        if in_place:
            self._require_unread(node.all_input_nodes[0])
        value = handler(*call.args, **call.kwargs)
        self._values[node] = value
        passed_on = value in map(self._values.__getitem__, node.all_input_nodes)
        if in_place or passed_on or value.target in _VIEWS:
            self._aliases.add(node)

    def _require_unread(self, changed: fx.Node) -> None:
        """Check that nothing else reads a value that is changed in place, or an alias of it.

        The edge graph could not say that other readers see the change.
        """
        require(len(changed.users) == 1, f"{changed.name} is changed in place and read again")
        if changed in self._aliases:
            self._require_unread(changed.all_input_nodes[0])


def _is_in_place(key: object, arguments: Mapping[str, Any]) -> bool:
    by_option = arguments.get("inplace") or getattr(arguments.get("layer"), "inplace", False)
    return bool(by_option) or key in (operator.iadd, operator.imul)


def rank(x: Value) -> int:
    """Return the number of a value's dimensions."""
    return int(x.meta["val"].dim())


def _ordinary(result: Any) -> Any:  # noqa: ANN401 -- what a network returns
    """Return a traced network's result in Python's own containers instead of fx's."""
    if isinstance(result, dict):
        return {key: _ordinary(value) for key, value in result.items()}
    if isinstance(result, list):
        return list(map(_ordinary, result))
    return tuple(map(_ordinary, result)) if isinstance(result, tuple) else result


def _on_meta(shape: Shape) -> Tensor:
    return torch.empty(shape, device="meta")


def require(condition: bool, reason: str) -> None:
    """Raise Unsupported for this reason unless the condition holds."""
    if not condition:
        raise Unsupported(reason)
