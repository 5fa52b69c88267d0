"""Writes a traced module down as the edge graph that ExecuTorch would decompose it to, for
the operators that XNNPACK takes whole."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from executorch.exir.dialects._ops import ops
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import TensorMetadata

from latlab.domain.kernel import Shape
from latlab.export.lowering.plain_layers import is_compact, is_plain

aten = ops.edge.aten

Value = fx.Node  # in the edge graph


class Unsupported(Exception):
    """The network holds something that only stock lowering knows; the message names it."""


class EdgeModule(nn.Module):
    """A graph whose weights are this module's attributes: an fx.GraphModule for passes to
    work on, without the code that one generates anew after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()

    def recompile(self) -> None:
        """Nothing: it is serialized, never run."""


def edge_module(module: nn.Module) -> EdgeModule:
    """module: as `prepare` gives it. In the result shapes are in meta["val"]. Raises
    Unsupported."""
    if not isinstance(module, fx.GraphModule):
        raise Unsupported("the network cannot be traced")
    builder = _Builder()
    for node in module.graph.nodes:
        builder.add(node, module)
    return builder.module


class _Builder:
    def __init__(self) -> None:
        self.module = EdgeModule()
        self.graph = self.module.graph
        self._values: dict[fx.Node, Value] = {}
        self._weights: dict[int, Value] = {}  # by identity: layers may share them
        self._aliases: set[fx.Node] = set()  # traced nodes that share their input's memory
        self.shape: Shape = ()  # of what the traced node being added computes

    def add(self, node: fx.Node, traced: fx.GraphModule) -> None:
        if node.op == "output":
            self._output(node)
            return
        _require(len(node.users) > 0, f"{node.name} is computed for nothing")
        meta = node.meta.get("tensor_meta")
        if not isinstance(meta, TensorMetadata) or meta.dtype != torch.float32:
            raise Unsupported(f"{node.name} is not one tensor of float32")
        self.shape = tuple(meta.shape)
        if node.op == "placeholder":
            self._values[node] = self._input(node)
        elif node.op == "call_module":
            layer = traced.get_submodule(str(node.target))
            _require(is_plain(layer), f"{node.target} computes more than its type says")
            self._call(node, _LAYERS, type(layer), layer)
        elif node.op == "call_function":
            self._call(node, _FUNCTIONS, node.target)
        elif node.op == "call_method":
            self._call(node, _METHODS, node.target)
        else:
            raise Unsupported(f"{node.op} {node.target}")

    def emit(self, target: Any, *args: Any) -> Value:  # noqa: ANN401 -- as fx has them
        value = self.graph.call_function(target, args)
        value.meta["val"] = _on_meta(self.shape)
        return value

    def weight(self, tensor: Tensor) -> Value:
        if id(tensor) not in self._weights:
            _require(
                is_compact(tensor) and tensor.dtype == torch.float32,
                "a weight that is no plain tensor of float32",
            )
            name = f"weight_{len(self._weights)}"
            self.module.register_buffer(name, tensor.detach())
            value = self.graph.get_attr(name)
            value.meta["val"] = _on_meta(tuple(tensor.shape))
            self._weights[id(tensor)] = value
        return self._weights[id(tensor)]

    def _input(self, node: fx.Node) -> Value:
        if self._values or node.args:
            raise Unsupported("more than one input")
        value = self.graph.placeholder(node.name)
        value.meta["val"] = _on_meta(self.shape)
        return value

    def _output(self, node: fx.Node) -> None:
        (result,) = node.args
        if not isinstance(result, fx.Node) or self._values[result].op != "call_function":
            raise Unsupported("an output that is not one computed tensor")
        self.graph.output((self._values[result],))

    def _call(
        self,
        node: fx.Node,
        handlers: Mapping[Any, Callable[..., Value]],
        key: object,
        *layer: nn.Module,
    ) -> None:
        try:
            handler = handlers[key]
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), self._values.__getitem__)
            call = inspect.signature(handler).bind(self, *layer, *args, **kwargs)
        except (KeyError, TypeError):
            raise Unsupported(f"{node.op} {node.target} {key}") from None
        in_place = _is_in_place(key, call.arguments)
        if in_place:
            self._require_unread(node.all_input_nodes[0])
        value = handler(*call.args, **call.kwargs)
        self._values[node] = value
        passed_on = value in map(self._values.__getitem__, node.all_input_nodes)
        if in_place or passed_on or value.target is aten.view_copy.default:
            self._aliases.add(node)

    def _require_unread(self, changed: fx.Node) -> None:
        """A graph of values does not say that what works in place changes its input for
        all other readers too, be it through an alias."""
        _require(len(changed.users) == 1, f"{changed.name} is changed in place and read again")
        if changed in self._aliases:
            self._require_unread(changed.all_input_nodes[0])


def _is_in_place(key: object, arguments: Mapping[str, Any]) -> bool:
    by_option = arguments.get("inplace") or getattr(arguments.get("layer"), "inplace", False)
    return bool(by_option) or key in (operator.iadd, operator.imul)


def _on_meta(shape: Shape) -> Tensor:
    return torch.empty(shape, device="meta")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Unsupported(what)


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _rank(x: Value) -> int:
    return int(x.meta["val"].dim())


# Layers: the builder, the layer and its inputs.


def _conv2d(b: _Builder, layer: nn.Conv2d, x: Value) -> Value:
    _require(layer.padding_mode == "zeros" and _rank(x) == 4, "a padding mode of its own")
    _require(not isinstance(layer.padding, str), "padding by name")
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


def _linear(b: _Builder, layer: nn.Linear, x: Value) -> Value:
    _require(_rank(x) == 2, "a linear layer over other than rank 2")
    bias = () if layer.bias is None else (b.weight(layer.bias),)
    return b.emit(aten.linear.default, x, b.weight(layer.weight), *bias)


def _avg_pool2d(b: _Builder, layer: nn.AvgPool2d, x: Value) -> Value:
    counted = layer.count_include_pad and any(_pair(layer.padding))
    _require(
        not (counted or layer.ceil_mode or layer.divisor_override) and _rank(x) == 4,
        "an average pool that counts its padding, rounds up or has a divisor",
    )
    kernel, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
    return b.emit(aten.avg_pool2d.default, x, kernel, stride, padding, False, False)


def _max_pool2d(b: _Builder, layer: nn.MaxPool2d, x: Value) -> Value:
    kernel, stride, padding, dilation = map(
        _pair, (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    )
    _require(
        not (layer.ceil_mode or layer.return_indices)
        and _rank(x) == 4
        and all(s <= k for s, k in zip(stride, kernel, strict=True)),
        "a max pool that rounds up, returns indices or strides over values",
    )
    return b.emit(aten.max_pool2d.default, x, kernel, stride, padding, dilation)


def _adaptive_avg_pool2d(b: _Builder, layer: nn.AdaptiveAvgPool2d, x: Value) -> Value:
    _require(layer.output_size in (1, (1, 1)), "an adaptive pool to more than one value")
    return _mean(b, x, (-1, -2), True)


def _zero_pad2d(b: _Builder, layer: nn.ZeroPad2d, x: Value) -> Value:
    _require(min(layer.padding) >= 0, "a negative padding")
    return b.emit(aten.constant_pad_nd.default, x, list(layer.padding), 0.0)


# Functions: the builder and their arguments, named as in PyTorch.


def _add(b: _Builder, input: Value, other: Value) -> Value:
    return _binary(b, aten.add.Tensor, input, other)


def _mul(b: _Builder, input: Value, other: Value) -> Value:
    return _binary(b, aten.mul.Tensor, input, other)


def _binary(b: _Builder, target: object, x: Value, y: Value) -> Value:
    _require(isinstance(x, fx.Node) and isinstance(y, fx.Node), "arithmetic with a number")
    _require(x is not y, "arithmetic of a tensor with itself")
    _require(_rank(x) == _rank(y), "operands of different rank")
    return b.emit(target, x, y)


def _relu(b: _Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.relu.default, input)


def _relu6(b: _Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.hardtanh.default, input, 0.0, 6.0)


def _sigmoid(b: _Builder, input: Value) -> Value:
    return b.emit(aten.sigmoid.default, input)


def _silu(b: _Builder, input: Value, inplace: bool = False) -> Value:
    """XNNPACK has no kernel of its own for it."""
    return b.emit(aten.mul.Tensor, input, _sigmoid(b, input))


def _hardswish(b: _Builder, input: Value, inplace: bool = False) -> Value:
    return b.emit(aten.hardswish.default, input)


def _mean(b: _Builder, input: Value, dim: tuple[int, ...], keepdim: bool = False) -> Value:
    rank = _rank(input)
    dims = sorted(d % rank for d in dim) if isinstance(dim, (list, tuple)) else []
    _require(rank == 4 and dims == [2, 3] and keepdim, "a mean other than over a whole image")
    return b.emit(aten.mean.dim, input, list(dim), True)


def _cat(b: _Builder, tensors: list[Value], dim: int = 0) -> Value:
    _require(2 <= len(set(tensors)) == len(tensors) <= 5, "a concatenation of other than 2 to 5")
    return b.emit(aten.cat.default, list(tensors), dim)


def _flatten(b: _Builder, input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    _require(_rank(input) == 4 and len(b.shape) == 2, "a flatten of other than rank 4 to 2")
    return b.emit(aten.view_copy.default, input, list(b.shape))


def _same(b: _Builder, x: Value) -> Value:
    return x


def _layer(function: Callable[..., Value]) -> Callable[[_Builder, nn.Module, Value], Value]:
    """A layer without parameters as its function."""
    return lambda b, layer, x: function(b, x)


_LAYERS: dict[type, Callable[..., Value]] = {
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

_FUNCTIONS: dict[Any, Callable[..., Value]] = {
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

_METHODS: dict[Any, Callable[..., Value]] = {
    "add": _add,
    "mul": _mul,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "mean": _mean,
    "flatten": _flatten,
}
