"""What comes before lowering, whichever way it goes: refuse what cannot run, fold
batch-norms, trace and find every shape."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.passes.shape_prop import ShapeProp

from host.errors import ExportError
from latency_models.kernel import Shape

_STRIDED = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)


def prepare(module: nn.Module, input_shape: Shape) -> nn.Module:
    """A copy in evaluation mode that shares the weights. Where it can be traced it is an
    fx.GraphModule with its batch-norms folded and each node's shape in meta["tensor_meta"].

    Raises ExportError for weights that are no numbers, layers of zero width, and an input
    that the network cannot take.
    """
    if not input_shape or min(input_shape) < 1:
        raise ExportError(f"an input of shape {input_shape} holds nothing")
    _check_weights(module)
    weights = [*module.parameters(), *module.buffers()]
    module = copy.deepcopy(module, {id(weight): weight for weight in weights}).eval()
    try:
        traced = _fold_batch_norms(fx.symbolic_trace(module))
        _ShapesOnMeta(traced).propagate(torch.empty(input_shape, device="meta"))
    except Exception:  # control flow on values, or no such input: running it tells which
        _check_runs(module, input_shape)
        return module
    for node in traced.graph.nodes:
        _check_stride(node, traced)
    return traced


def _fold_batch_norms(traced: fx.GraphModule) -> fx.GraphModule:
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    if len(set(calls)) < len(calls):
        return traced  # fuse() would fold a layer that is called twice into itself twice
    return cast(fx.GraphModule, fuse(traced, inplace=True, no_trace=True))


def _check_weights(module: nn.Module) -> None:
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    empty = [name for name, weight in weights.items() if weight.numel() == 0]
    if empty:
        raise ExportError(f"layers of zero width: {_names(empty)}")
    invalid = [
        name
        for name, weight in weights.items()
        if weight.is_floating_point() and not weight.isfinite().all()
    ]
    if invalid:
        raise ExportError(f"weights that are NaN or infinite: {_names(invalid)}")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class _ShapesOnMeta(ShapeProp):
    """On meta tensors, which have shapes and no values; the weights stay as they are."""

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        layer = self.module.get_submodule(target)
        weights = dict(layer.named_parameters()) | dict(layer.named_buffers())
        on_meta = {name: weight.to("meta") for name, weight in weights.items()}
        return torch.func.functional_call(layer, on_meta, args, kwargs)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        return super().get_attr(target, args, kwargs).to("meta")


def _check_stride(node: fx.Node, traced: fx.GraphModule) -> None:
    """A layer that strides over more than its whole input would compute on padding alone."""
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    if not isinstance(layer, _STRIDED):
        return
    *_, height, width = node.all_input_nodes[0].meta["tensor_meta"].shape
    stride = layer.stride if isinstance(layer.stride, tuple) else (layer.stride, layer.stride)
    if height < stride[0] or width < stride[1]:
        raise ExportError(
            f"the input is smaller than the strides take: {node.target} strides by "
            f"{stride[0]}×{stride[1]} over {height}×{width}"
        )


def _check_runs(module: nn.Module, input_shape: Shape) -> None:
    try:
        with torch.no_grad():
            module(torch.zeros(input_shape))
    except Exception as error:
        raise ExportError(
            f"the network does not take an input of {input_shape}: {error}"
        ) from error
