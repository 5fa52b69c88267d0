"""The operators that XNNPACK runs, each written as ExecuTorch would decompose it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from latlab.export.lowering.edge_graph import (
    Builder,
    EdgeModule,
    Handler,
    Handlers,
    Value,
    aten,
    build,
    require,
)


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _rank(x: Value) -> int:
    return int(x.meta["val"].dim())


# Handlers of layers. Their arguments are the builder, the layer and its inputs.


def _conv2d(b: Builder, layer: nn.Conv2d, x: Value) -> Value:
    require(layer.padding_mode == "zeros" and _rank(x) == 4, "a padding mode of its own")
    require(not isinstance(layer.padding, str), "padding by name")
    return b.emit(
        aten.convolution.default,
        x,
        b.weight(layer.weight),
        None if layer.bias is None else b.weight(layer.bias),
        list(layer.stride),
        list(layer.padding),
        list(layer.dilation),
        False,
        [0, 0],
        layer.groups,
    )


def _linear(b: Builder, layer: nn.Linear, x: Value) -> Value:
    require(_rank(x) == 2, "a linear layer over other than rank 2")
    bias = () if layer.bias is None else (b.weight(layer.bias),)
    return b.emit(aten.linear.default, x, b.weight(layer.weight), *bias)


def _avg_pool2d(b: Builder, layer: nn.AvgPool2d, x: Value) -> Value:
    counted = layer.count_include_pad and any(_pair(layer.padding))
    require(
        not (counted or layer.ceil_mode or layer.divisor_override) and _rank(x) == 4,
        "an average pool that counts its padding, rounds up or has a divisor",
    )
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    return b.emit(aten.avg_pool2d.default, x, kernel, stride, padding, False, False)


def _max_pool2d(b: Builder, layer: nn.MaxPool2d, x: Value) -> Value:
    kernel, stride, padding, dilation = map(
        _pair, (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    )
    require(
        not (layer.ceil_mode or layer.return_indices)
        and _rank(x) == 4
        and all(s <= k for s, k in zip(stride, kernel, strict=True)),
        "a max pool that rounds up, returns indices or strides over values",
    )
    return b.emit(aten.max_pool2d.default, x, kernel, stride, padding, dilation)


def _adaptive_avg_pool2d(b: Builder, layer: nn.AdaptiveAvgPool2d, x: Value) -> Value:
    require(layer.output_size in (1, (1, 1)), "an adaptive pool to more than one value")
    return _mean(b, x, (-1, -2), True)


def _zero_pad2d(b: Builder, layer: nn.ZeroPad2d, x: Value) -> Value:
    require(min(layer.padding) >= 0, "a negative padding")
    return b.emit(aten.constant_pad_nd.default, x, list(layer.padding), 0.0)


# Handlers of functions. Their arguments are the builder and the arguments' names in PyTorch.


def _add(b: Builder, input: Value, other: Value) -> Value:
    return _binary(b, aten.add.Tensor, input, other)


def _mul(b: Builder, input: Value, other: Value) -> Value:
    return _binary(b, aten.mul.Tensor, input, other)


def _binary(b: Builder, target: object, x: Value, y: Value) -> Value:
    require(isinstance(x, fx.Node) and isinstance(y, fx.Node), "arithmetic with a number")
    require(x is not y, "arithmetic of a tensor with itself")
    require(_rank(x) == _rank(y), "operands of different rank")
    return b.emit(target, x, y)


def _relu(b: Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.relu.default, input)


def _relu6(b: Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.hardtanh.default, input, 0.0, 6.0)


def _sigmoid(b: Builder, input: Value) -> Value:
    return b.emit(aten.sigmoid.default, input)


def _silu(b: Builder, input: Value, inplace: bool = False) -> Value:
    """Emit two kernels, because XNNPACK has none for SiLU."""
    return b.emit(aten.mul.Tensor, input, _sigmoid(b, input))


def _hardswish(b: Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.hardswish.default, input)


def _mean(b: Builder, input: Value, dim: tuple[int, ...], keepdim: bool = False) -> Value:
    rank = _rank(input)
    dims = sorted(d % rank for d in dim) if isinstance(dim, (list, tuple)) else []
    require(rank == 4 and dims == [2, 3] and keepdim, "a mean other than over a whole image")
    return b.emit(aten.mean.dim, input, list(dim), True)


def _cat(b: Builder, tensors: list[Value], dim: int = 0) -> Value:
    require(2 <= len(set(tensors)) == len(tensors) <= 5, "a concatenation of other than 2 to 5")
    return b.emit(aten.cat.default, list(tensors), dim)


def _flatten(b: Builder, input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    require(_rank(input) == 4 and len(b.shape) == 2, "a flatten of other than rank 4 to 2")
    return b.emit(aten.view_copy.default, input, list(b.shape))


def _same(b: Builder, x: Value) -> Value:
    return x


def _layer(function: Handler) -> Callable[[Builder, nn.Module, Value], Value]:
    """Return the handler of a layer without parameters that computes a function."""
    return lambda b, layer, x: function(b, x)


_LAYERS: dict[type, Handler] = {
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    nn.AvgPool2d: _avg_pool2d,
    nn.MaxPool2d: _max_pool2d,
    nn.AdaptiveAvgPool2d: _adaptive_avg_pool2d,
    nn.ZeroPad2d: _zero_pad2d,
    nn.ReLU: _layer(_relu),
    nn.ReLU6: _layer(_relu6),
    nn.Sigmoid: _layer(_sigmoid),
    nn.SiLU: _layer(_silu),
    nn.Hardswish: _layer(_hardswish),
    nn.Flatten: lambda b, layer, x: _flatten(b, x, layer.start_dim, layer.end_dim),
    nn.Identity: _layer(_same),
    nn.Dropout: _layer(_same),
}

_FUNCTIONS: dict[Any, Handler] = {
    operator.add: _add,
    torch.add: _add,
    operator.iadd: _add,
    operator.mul: _mul,
    operator.imul: _mul,
    torch.mul: _mul,
    torch.relu: _relu,
    F.relu: _relu,
    F.relu6: _relu6,
    F.silu: _silu,
    F.hardswish: _hardswish,
    torch.sigmoid: _sigmoid,
    torch.mean: _mean,
    torch.cat: _cat,
    torch.flatten: _flatten,
}

_METHODS: dict[Any, Handler] = {
    "add": _add,
    "mul": _mul,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "mean": _mean,
    "flatten": _flatten,
}

_HANDLERS = Handlers(_LAYERS, _FUNCTIONS, _METHODS)


def edge_module(module: nn.Module) -> EdgeModule:
    """Return the edge graph of a module that `prepare` returned, with shapes in meta["val"].

    Raises:
        Unsupported: Only stock lowering can lower the module.
    """
    return build(module, _HANDLERS)
