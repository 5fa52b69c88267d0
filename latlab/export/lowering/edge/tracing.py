"""Trace a module for lowering: fold its batch-norms, and find the shapes of its values."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import _extract_tensor_metadata
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights
from torch.utils import _pytree as pytree

from latlab.export.execution.example import Example
from latlab.export.lowering.edge.plain_layers import NORMS, calls_are_plain, is_plain, make_plain
from latlab.export.sources.nodes import RunningCode, mark

_FOLDS: dict[tuple[type, type], tuple[int, Callable[..., tuple[nn.Parameter, nn.Parameter]]]] = {
    # The input must have this rank for the batch-norm to be over the layer's channels.
    (nn.Conv1d, nn.BatchNorm1d): (3, fuse_conv_bn_weights),
    (nn.Conv2d, nn.BatchNorm2d): (4, fuse_conv_bn_weights),
    (nn.Conv3d, nn.BatchNorm3d): (5, fuse_conv_bn_weights),
    (nn.Linear, nn.BatchNorm1d): (2, fuse_linear_bn_weights),
}

# What a tensor without values can tell.
_KNOWN = frozenset({"shape", "size", "ndim", "dim", "numel", "dtype"})


def traced(network: nn.Module, example: Example) -> fx.GraphModule | None:
    """Return a network's graph for lowering.

    Its weights are plain, its batch-norms folded, each node's shape is in meta["tensor_meta"],
    and each call is marked with where it comes from in the user's code.

    Args:
        network: A network in evaluation mode. It is changed, and cannot be used any more.
        example: Inputs that it takes.

    Returns:
        The graph, or None if the network cannot be traced, for example because its control flow
        depends on values.
    """
    make_plain(network)
    if not calls_are_plain():
        return None
    takes_one = len(example.tensors) == len(example.args) == 1
    try:
        is_root = takes_one and _is_its_forward(network)
        root = network if is_root else _Called(network, len(example.args), list(example.kwargs))
        with torch.no_grad():
            tracer = _Tracer(root, example.args[0] if is_root else example.tensors)
            graph = tracer.running.run(lambda: tracer.trace(root))
            if isinstance(root, _Called):
                _take_apart(graph, root.names)
        module = fx.GraphModule(root, graph)
        _fold_batch_norms(module)
    except MemoryError:
        raise
    except Exception:
        return None
    return module


def _is_its_forward(network: nn.Module) -> bool:
    """Return whether calling the network runs its class's forward method and nothing else.

    A tracer takes that for granted. It must also trace through this method, which it would call
    with a value for each optional parameter.
    """
    return len(inspect.signature(network.forward).parameters) == 1 and not (
        network._forward_hooks
        or network._forward_pre_hooks
        or "forward" in vars(network)
        or type(network).__call__ is not nn.Module.__call__
        or fx.Tracer().is_leaf_module(network, "")
    )


class _Called(nn.Module):
    """Calls a network with all its inputs, so that a tracer sees the whole call."""

    def __init__(self, network: nn.Module, positional: int, keywords: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.training = False
        self.names = [*(f"input_{index}" for index in range(positional)), *keywords]
        self._positional = positional

    def forward(self, inputs: Sequence[Tensor]) -> Any:  # noqa: ANN401 -- what the network returns
        named = {name: inputs[index] for index, name in enumerate(self.names)}
        args = [named.pop(name) for name in self.names[: self._positional]]
        return self.network(*args, **named)


def _take_apart(graph: fx.Graph, names: Sequence[str]) -> None:
    """Replace the sequence of inputs that a _Called takes by an input for each name."""
    sequence = next(iter(graph.nodes))
    reads = {node.args[1]: node for node in sequence.users}
    with graph.inserting_before(sequence):
        for index, name in enumerate(names):
            value = graph.placeholder(name)
            value.meta = reads[index].meta
            reads[index].replace_all_uses_with(value)
            graph.erase_node(reads[index])
    graph.erase_node(sequence)


def _fold_batch_norms(traced: fx.GraphModule) -> None:
    """Fold batch-norms into the layer before, if nothing else reads its output or weights."""
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    layers = {node: traced.get_submodule(str(node.target)) for node in calls}
    uses = Counter(map(id, layers.values()))
    uses.update(id(layer) for layer in _layers_read_directly(traced))
    for node, norm in layers.items():
        source = node.args[0] if len(node.args) == 1 and not node.kwargs else None
        if not isinstance(source, fx.Node) or source not in layers:
            continue
        first = layers[source]
        rank, fuse = _FOLDS.get((type(first), type(norm)), (0, None))
        if (
            fuse is not None
            and uses[id(first)] == uses[id(norm)] == len(source.users) == 1
            and len(source.meta["tensor_meta"].shape) == rank
            and is_plain(first)
            and is_plain(norm)
            and norm.running_mean is not None
        ):
            statistics = norm.running_mean, norm.running_var, norm.eps
            first.weight, first.bias = fuse(
                first.weight, first.bias, *statistics, norm.weight, norm.bias
            )
            node.replace_all_uses_with(source)
            traced.graph.erase_node(node)
    traced.recompile()


def _layers_read_directly(traced: fx.GraphModule) -> Iterable[nn.Module]:
    """Yield the layers with a weight that the network reads itself."""
    for node in traced.graph.nodes:
        if node.op == "get_attr":
            yield traced.get_submodule(str(node.target).rpartition(".")[0])


class _Tracer(fx.Tracer):
    """Traces a network for one input, or for one sequence of inputs.

    Each value is computed on meta tensors, which have shapes but no values. So code that computes
    with shapes or branches on them is traced as it runs for this input.
    """

    def __init__(self, root: nn.Module, x: Tensor | Sequence[Tensor]) -> None:
        super().__init__()
        self.values: dict[fx.Node, Any] = {}
        self._x = pytree.tree_map(lambda tensor: tensor.to("meta"), x)
        self._on_meta = _OnMeta(root, graph=fx.Graph())
        self._is_computing = False
        self.running = RunningCode(root)
        self._layers = dict(root.named_modules())

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:  # noqa: ANN401 -- as fx has them
        node = super().create_node(*args, **kwargs)
        if node.op.startswith("call_"):
            layer = self._layers[str(node.target)] if node.op == "call_module" else None
            mark(node, self.running.source(layer))
        if node.op == "placeholder":
            self.values[node] = node.args[0] if self.values else self._x
        elif node.op != "output":
            self.values[node] = self._computed(node)
        if isinstance(self.values.get(node), Tensor):
            node.meta["tensor_meta"] = _extract_tensor_metadata(self.values[node])
        return node

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _KnownShape(node, self)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: Any,  # noqa: ANN401
        kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        # While fx traces, it replaces nn.Module.__call__ and __getattr__.
        return (
            forward(*args, **kwargs)
            if self._is_computing
            else super().call_module(m, forward, args, kwargs)
        )

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:  # noqa: ANN401
        return (
            attr_val
            if self._is_computing
            else super().getattr(attr, attr_val, parameter_proxy_cache)
        )

    def _computed(self, node: fx.Node) -> Any:  # noqa: ANN401 -- what the node computes
        args, kwargs = fx.map_arg((node.args, node.kwargs), self.values.__getitem__)
        self._is_computing = True
        try:
            return getattr(self._on_meta, node.op)(node.target, args, kwargs)
        finally:
            self._is_computing = False


class _KnownShape(fx.Proxy):
    """A value that is being traced. Its shape and dtype are known."""

    tracer: _Tracer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as fx has it
        value = self.tracer.values[self.node]
        if name in _KNOWN and isinstance(value, Tensor):
            return getattr(value, name)
        return super().__getattr__(name)


class _OnMeta(fx.Interpreter):
    """Computes with meta tensors; the weights stay as they are."""

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        layer = self.module.get_submodule(target)
        if type(layer) in NORMS and args:  # PyTorch would take milliseconds
            return torch.empty_like(args[0])
        weights = dict(layer.named_parameters()) | dict(layer.named_buffers())
        on_meta = {name: weight.to("meta") for name, weight in weights.items()}
        return torch.func.functional_call(layer, on_meta, args, kwargs)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        return super().get_attr(target, args, kwargs).to("meta")
