"""The layers that XNNPACK runs, each written as ExecuTorch would decompose it.

The arguments are the builder, the layer and its input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from executorch.backends.xnnpack._passes.decompose_batch_norm import DecomposeBatchNorm
from torch import nn

from latlab.export.lowering.edge.functions import FUNCTIONS, METHODS
from latlab.export.lowering.edge.graph import (
    Builder,
    EdgeModule,
    Handler,
    Handlers,
    Value,
    aten,
    build,
    rank,
    require,
)

# A batch-norm after one of these is folded into it.
_TAKING_NORMS = {aten.convolution.default, aten.linear.default}


def _conv2d(b: Builder, layer: nn.Conv2d | nn.ConvTranspose2d, x: Value) -> Value:
    require(layer.padding_mode == "zeros" and rank(x) == 4, "a padding mode of its own")
    require(not isinstance(layer.padding, str), "padding by name")
    return b.emit(
        aten.convolution.default,
        x,
        b.weight(layer.weight),
        None if layer.bias is None else b.weight(layer.bias),
        list(layer.stride),
        list(layer.padding),
        list(layer.dilation),
        layer.transposed,
        list(layer.output_padding),
        layer.groups,
    )


def _batch_norm2d(b: Builder, layer: nn.BatchNorm2d, x: Value) -> Value:
    """Emit a depthwise convolution. `prepare` has folded what can be folded."""
    require(x.target not in _TAKING_NORMS, "a batch-norm that ExecuTorch folds")
    require(rank(x) == 4 and layer.running_mean is not None, "a norm by the input's statistics")
    weight, bias = DecomposeBatchNorm.compute_w_and_b(
        layer.eps, layer.running_mean, layer.running_var, layer.weight, layer.bias
    )
    return b.emit(
        aten.convolution.default,
        x,
        b.constant(weight.reshape(-1, 1, 1, 1)),
        b.constant(bias),
        [1, 1],
        [0, 0],
        [1, 1],
        False,
        [0, 0],
        len(weight),
    )


def _linear(b: Builder, layer: nn.Linear, x: Value) -> Value:
    bias = () if layer.bias is None else (b.weight(layer.bias),)
    return b.emit(aten.linear.default, x, b.weight(layer.weight), *bias)


def _prelu(b: Builder, layer: nn.PReLU, x: Value) -> Value:
    require(rank(x) == 4, "a PReLU of other than rank 4")
    return b.emit(aten.prelu.default, x, b.weight(layer.weight))


def _same(b: Builder, layer: nn.Module, x: Value) -> Value:
    return x


def _layer(function: Callable[..., Any], *attributes: str) -> Handler:
    """Return the handler of a layer that computes a function with these of its attributes."""
    handler = FUNCTIONS[function]
    return lambda b, layer, x: handler(b, x, *(getattr(layer, name) for name in attributes))


_POOL = "kernel_size", "stride", "padding"

_LAYERS: dict[type, Handler] = {
    nn.Conv2d: _conv2d,
    nn.ConvTranspose2d: _conv2d,
    nn.BatchNorm2d: _batch_norm2d,
    nn.Linear: _linear,
    nn.AvgPool2d: _layer(
        F.avg_pool2d, *_POOL, "ceil_mode", "count_include_pad", "divisor_override"
    ),
    nn.MaxPool2d: _layer(F.max_pool2d, *_POOL, "dilation", "ceil_mode", "return_indices"),
    nn.AdaptiveAvgPool2d: _layer(F.adaptive_avg_pool2d, "output_size"),
    nn.ZeroPad2d: _layer(F.pad, "padding"),
    nn.ReLU: _layer(F.relu),
    nn.ReLU6: _layer(F.relu6),
    nn.Hardtanh: _layer(F.hardtanh, "min_val", "max_val"),
    nn.LeakyReLU: _layer(F.leaky_relu, "negative_slope"),
    nn.PReLU: _prelu,
    nn.Sigmoid: _layer(torch.sigmoid),
    nn.Tanh: _layer(torch.tanh),
    nn.SiLU: _layer(F.silu),
    nn.GELU: _layer(F.gelu, "approximate"),
    nn.Hardswish: _layer(F.hardswish),
    nn.Softmax: _layer(F.softmax, "dim"),
    nn.PixelShuffle: _layer(torch.pixel_shuffle, "upscale_factor"),
    nn.Flatten: _layer(torch.flatten),
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.Dropout2d: _same,
}

_HANDLERS = Handlers(_LAYERS, FUNCTIONS, METHODS)


def edge_module(module: nn.Module) -> EdgeModule:
    """Return the edge graph of a module that `prepare` returned, with shapes in meta["val"].

    Raises:
        Unsupported: Only stock lowering can lower the module.
    """
    return build(module, _HANDLERS)
