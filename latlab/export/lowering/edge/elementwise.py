"""The functions of each element, as ExecuTorch would decompose them; see `functions`."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from latlab.export.lowering.edge.graph import (
    Builder,
    Handler,
    Unsupported,
    Value,
    aten,
    rank,
    require,
)


def _binary(target: object) -> Handler:
    """Return the handler of an operator with two operands, one of which may be a number."""

    def handler(b: Builder, input: Value | float, other: Value | float) -> Value:
        if isinstance(input, float) and target in (aten.add.Tensor, aten.mul.Tensor):
            input, other = other, input  # as PyTorch does
        if isinstance(input, float) and target is aten.sub.Tensor:
            return b.emit(target, b.constant(torch.tensor(input)), other)
        if isinstance(input, float):
            raise Unsupported("division of a number")
        require(isinstance(input, fx.Node), "an integer first")
        if isinstance(other, float):
            return b.emit(target, input, b.constant(torch.tensor(other)))
        # ExecuTorch converts integers outside the delegate.
        require(isinstance(other, fx.Node), "arithmetic with an integer")
        require(input is not other, "arithmetic of a tensor with itself")
        require(rank(input) == rank(other), "operands of different rank")
        return b.emit(target, input, other)

    return handler


def _unary(target: object, *options: object) -> Handler:
    """Return the handler of an operator with one operand, and with options that it always has."""

    def handler(b: Builder, input: Value, inplace: bool = False) -> Value:
        return b.emit(target, input, *options)

    return handler


_add, _mul = _binary(aten.add.Tensor), _binary(aten.mul.Tensor)
_sub, _div = _binary(aten.sub.Tensor), _binary(aten.div.Tensor)
_relu, _relu6 = _unary(aten.relu.default), _unary(aten.hardtanh.default, 0.0, 6.0)
_sigmoid, _tanh = _unary(aten.sigmoid.default), _unary(aten.tanh.default)
_hardswish = _unary(aten.hardswish.default)


def _hardtanh(
    b: Builder, input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    return b.emit(aten.hardtanh.default, input, float(min_val), float(max_val))


def _pow(b: Builder, input: Value, exponent: float) -> Value:
    require(type(exponent) is int and exponent == 2, "a power other than the square")
    return b.emit(aten.pow.Tensor_Scalar, input, 2)


def _square(b: Builder, input: Value) -> Value:
    return _pow(b, input, 2)


def _pairwise(target: object) -> Handler:
    """Return the handler of an operator with two operands, neither of which may be a number."""

    def handler(b: Builder, input: Value, other: Value) -> Value:
        require(input is not other, "a tensor compared with itself")
        require(rank(input) == rank(other), "operands of different rank")
        return b.emit(target, input, other)

    return handler


def _silu(b: Builder, input: Value, inplace: bool = False) -> Value:
    """Emit two kernels, because XNNPACK has none for SiLU."""
    return b.emit(aten.mul.Tensor, input, _sigmoid(b, input))


def _gelu(b: Builder, input: Value, approximate: str = "none") -> Value:
    require(approximate == "none", "an approximate GELU")
    return b.emit(aten.gelu.default, input)


def _leaky_relu(
    b: Builder, input: Value, negative_slope: float = 0.01, inplace: bool = False
) -> Value:
    return b.emit(aten.leaky_relu.default, input, negative_slope)


def _clamp(b: Builder, input: Value, min: float | None = None, max: float | None = None) -> Value:
    return b.emit(aten.clamp.default, input, min, max)


ELEMENTWISE: dict[Any, Handler] = {
    operator.add: _add,
    operator.iadd: _add,
    torch.add: _add,
    operator.sub: _sub,
    torch.sub: _sub,
    operator.mul: _mul,
    operator.imul: _mul,
    torch.mul: _mul,
    operator.truediv: _div,
    torch.div: _div,
    torch.relu: _relu,
    F.relu: _relu,
    F.relu6: _relu6,
    F.hardtanh: _hardtanh,
    F.leaky_relu: _leaky_relu,
    F.silu: _silu,
    F.gelu: _gelu,
    F.hardswish: _hardswish,
    torch.sigmoid: _sigmoid,
    torch.tanh: _tanh,
    torch.clamp: _clamp,
    torch.abs: _unary(aten.abs.default),
    torch.exp: _unary(aten.exp.default),
    torch.sqrt: _unary(aten.sqrt.default),
    torch.neg: _unary(aten.neg.default),
    operator.neg: _unary(aten.neg.default),
    torch.square: _square,
    torch.pow: _pow,
    operator.pow: _pow,
    torch.maximum: _pairwise(aten.maximum.default),
    torch.minimum: _pairwise(aten.minimum.default),
}
