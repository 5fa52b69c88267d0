"""What comes before lowering, whichever way it goes: refuse what cannot run, copy, fold
batch-norms, trace and find every shape."""

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
from latlab.domain.kernel import Shape
from latlab.export.execution.checking import Reference, random_input
from latlab.export.execution.isolation import running_code_of
from latlab.export.lowering.plain_layers import NORMS, calls_are_plain, is_plain, make_plain

_FOLDS: dict[tuple[type, type], tuple[int, Callable[..., tuple[nn.Parameter, nn.Parameter]]]] = {
    # what the rank of the input must be for the batch-norm to be over the layer's channels
    (nn.Conv1d, nn.BatchNorm1d): (3, fuse_conv_bn_weights),
    (nn.Conv2d, nn.BatchNorm2d): (4, fuse_conv_bn_weights),
    (nn.Conv3d, nn.BatchNorm3d): (5, fuse_conv_bn_weights),
    (nn.Linear, nn.BatchNorm1d): (2, fuse_linear_bn_weights),
}


def prepare(module: nn.Module, input_shape: Shape) -> nn.Module:
    """A copy of `module` in evaluation mode, ready for either lowering.

    Where it can be traced it is an fx.GraphModule with its batch-norms folded and each
    node's shape in meta["tensor_meta"]. Raises ExportError for weights that are no numbers,
    layers of zero width, and an input that the network cannot take.
    """
    check(module, input_shape)
    x = random_input(input_shape, input_dtype(module))
    Reference(module, partial(evaluation_copy, module), x)
    copied = evaluation_copy(module)
    with running_code_of(module):
        network = traced(copied, x)
    return evaluation_copy(module) if network is None else network


def check(module: nn.Module, input_shape: Shape) -> None:
    """Raises ExportError for what no export can be made of."""
    if not isinstance(module, nn.Module):
        raise ExportError(f"a torch.nn.Module is exported, not {type(module).__name__}")
    if not input_shape or not all(type(size) is int and size > 0 for size in input_shape):
        raise ExportError(
            f"an input of shape {input_shape} holds nothing: sizes are whole numbers above 0"
        )
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    empty = [name for name, weight in weights.items() if weight.numel() == 0]
    if empty:
        raise ExportError(f"layers of zero width: {_names(empty)}")
    elsewhere = [name for name, weight in weights.items() if weight.device.type != "cpu"]
    if elsewhere:
        device = weights[elsewhere[0]].device
        raise ExportError(f"weights that lie on {device}: {_names(elsewhere)}: use module.cpu()")
    invalid = [
        name
        for name, weight in weights.items()
        if weight.is_floating_point() and not weight.detach().isfinite().all()
    ]
    if invalid:
        raise ExportError(f"weights that are NaN or infinite: {_names(invalid)}")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def input_dtype(module: nn.Module) -> torch.dtype:
    """float16 where all weights are, else float32."""
    dtypes = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    return torch.float16 if dtypes == {torch.float16} else torch.float32


def evaluation_copy(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode with weights of its own. Raises ExportError."""
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
            "attributes what copy.deepcopy cannot copy, and make computed weights plain with "
            "prune.remove, remove_weight_norm, remove_spectral_norm or remove_parametrizations"
        ) from error


def _uncompiled(network: nn.Module) -> nn.Module:
    """Without torch.compile's wrappers, which compute the same after minutes of compiling."""
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


def traced(network: nn.Module, x: Tensor) -> fx.GraphModule | None:
    """`network` for lowering: its weights plain, its batch-norms folded, and each node's shape
    in meta["tensor_meta"]. None where it cannot be traced: control flow on values, say.

    network: in evaluation mode; it is changed, and of no further use. x: an input it takes.
    """
    make_plain(network)
    if not calls_are_plain():
        return None
    root = network if _is_its_forward(network) else _Called(network)
    try:
        module = fx.GraphModule(root, fx.Tracer().trace(root))
        with torch.no_grad():
            _ShapesOnMeta(module).run(x.to("meta"))
        _fold_batch_norms(module)
    except MemoryError:
        raise
    except Exception:
        return None
    return module


def _is_its_forward(network: nn.Module) -> bool:
    """Whether calling the network runs its class's forward method and nothing else, which is
    what a tracer takes it for, and whether that is code to trace through."""
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
    """Into the layer before them, where nothing else reads that layer's output or weights."""
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
    """Layers with a weight that the network reads itself."""
    for node in traced.graph.nodes:
        if node.op == "get_attr":
            yield traced.get_submodule(str(node.target).rpartition(".")[0])


class _ShapesOnMeta(fx.Interpreter):
    """Finds shapes on meta tensors, which have no values; the weights stay as they are."""

    def run_node(self, node: fx.Node) -> Any:  # noqa: ANN401 -- what the node computes
        result = super().run_node(node)
        if isinstance(result, Tensor):
            node.meta["tensor_meta"] = _extract_tensor_metadata(result)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        layer = self.module.get_submodule(target)
        if type(layer) in NORMS and args:  # PyTorch takes milliseconds to find that out
            return torch.empty_like(args[0])
        weights = dict(layer.named_parameters()) | dict(layer.named_buffers())
        on_meta = {name: weight.to("meta") for name, weight in weights.items()}
        return torch.func.functional_call(layer, on_meta, args, kwargs)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        return super().get_attr(target, args, kwargs).to("meta")
