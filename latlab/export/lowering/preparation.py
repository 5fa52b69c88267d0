"""Prepare modules for direct or stock lowering.

A module is copied and traced, its batch-norms are folded and its shapes found.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._dynamo import OptimizedModule
from torch.fx.passes.shape_prop import _extract_tensor_metadata
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights
from torch.overrides import TorchFunctionMode

from latlab.domain.errors import ExportError
from latlab.export.execution.checking import Reference
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.execution.isolation import running_code_of
from latlab.export.execution.weights import check
from latlab.export.lowering.plain_layers import NORMS, calls_are_plain, is_plain, make_plain

_FOLDS: dict[tuple[type, type], tuple[int, Callable[..., tuple[nn.Parameter, nn.Parameter]]]] = {
    # The input must have this rank for the batch-norm to be over the layer's channels.
    (nn.Conv1d, nn.BatchNorm1d): (3, fuse_conv_bn_weights),
    (nn.Conv2d, nn.BatchNorm2d): (4, fuse_conv_bn_weights),
    (nn.Conv3d, nn.BatchNorm3d): (5, fuse_conv_bn_weights),
    (nn.Linear, nn.BatchNorm1d): (2, fuse_linear_bn_weights),
}


def prepare(module: nn.Module, inputs: Inputs) -> nn.Module:
    """Return a copy of a module in evaluation mode, ready for direct or stock lowering.

    If the module can be traced, the copy is an fx.GraphModule with its batch-norms folded and
    each node's shape in meta["tensor_meta"].

    Raises:
        ExportError: A weight is NaN or infinite, a layer has zero width, or the network does not
            take the input.
    """
    check(module)
    example = example_of(module, inputs)
    Reference(module, partial(evaluation_copy, module), example)
    copied = evaluation_copy(module)
    with running_code_of(module):
        network = traced(copied, example)
    return evaluation_copy(module) if network is None else network


def evaluation_copy(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode with weights of its own.

    Raises:
        ExportError: The module cannot be copied.
    """
    try:
        with torch.no_grad():
            try:
                copied = copy.deepcopy(module)
            except RuntimeError:  # torch copies no tensor that was computed from others
                with _ComputedTensorsDetached():
                    copied = copy.deepcopy(module)
            return _uncompiled(copied.eval())
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"the network cannot be copied, which an export does first: {error}. Remove from its "
            "attributes what copy.deepcopy cannot copy, and make computed weights ordinary with "
            "prune.remove, remove_weight_norm, remove_spectral_norm or remove_parametrizations"
        ) from error


def _uncompiled(network: nn.Module) -> nn.Module:
    """Remove torch.compile's wrappers, which compute the same after minutes of compiling."""
    for name, part in network.named_children():
        if isinstance(part, OptimizedModule):
            setattr(network, name, part._orig_mod)
        _uncompiled(getattr(network, name))
    return _uncompiled(network._orig_mod) if isinstance(network, OptimizedModule) else network


class _ComputedTensorsDetached(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if function is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]
        return function(*args, **(kwargs or {}))


def traced(network: nn.Module, example: Example) -> fx.GraphModule | None:
    """Return a network's graph for lowering.

    Its weights are plain, its batch-norms folded, and each node's shape is in
    meta["tensor_meta"].

    Args:
        network: A network in evaluation mode. It is changed, and cannot be used any more.
        example: Inputs that it takes.

    Returns:
        The graph, or None if the network has several inputs or cannot be traced, for example
        because its control flow depends on values.
    """
    if example.kwargs or len(example.args) != 1:
        return None
    make_plain(network)
    if not calls_are_plain():
        return None
    root = network if _is_its_forward(network) else _Called(network)
    try:
        module = fx.GraphModule(root, fx.Tracer().trace(root))
        with torch.no_grad():
            _ShapesOnMeta(module).run(example.args[0].to("meta"))
        _fold_batch_norms(module)
    except MemoryError:
        raise
    except Exception:
        return None
    return module


def _is_its_forward(network: nn.Module) -> bool:
    """Return whether calling the network runs its class's forward method and nothing else.

    A tracer takes that for granted. It must also trace through this method.
    """
    return not (
        network._forward_hooks
        or network._forward_pre_hooks
        or "forward" in vars(network)
        or type(network).__call__ is not nn.Module.__call__
        or fx.Tracer().is_leaf_module(network, "")
    )


class _Called(nn.Module):
    """Calls a network, so that a tracer sees the whole call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = False

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 -- what the network returns
        return self.network(x)


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


class _ShapesOnMeta(fx.Interpreter):
    """Finds shapes with meta tensors, which have no values; the weights stay as they are."""

    def run_node(self, node: fx.Node) -> Any:  # noqa: ANN401 -- what the node computes
        result = super().run_node(node)
        if isinstance(result, Tensor):
            node.meta["tensor_meta"] = _extract_tensor_metadata(result)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        layer = self.module.get_submodule(target)
        if type(layer) in NORMS and args:  # PyTorch would take milliseconds
            return torch.empty_like(args[0])
        weights = dict(layer.named_parameters()) | dict(layer.named_buffers())
        on_meta = {name: weight.to("meta") for name, weight in weights.items()}
        return torch.func.functional_call(layer, on_meta, args, kwargs)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        return super().get_attr(target, args, kwargs).to("meta")
