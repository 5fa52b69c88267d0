"""An Architecture as a PyTorch module."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from search.space.architecture import Architecture
from search.space.deployment import CLASSES
from search.space.layers import Layer, layers_by_block, scaled

BATCH_NORM_MOMENTUM = 0.01  # 0.99 in TensorFlow's sense
BATCH_NORM_EPS = 1e-3


def build_network(
    architecture: Architecture,
    *,
    classes: int = CLASSES,
    width_multiplier: float = 1.0,
    stem_stride: int = 2,
    input_channels: int = 3,
    dropout: float = 0.0,
    seed: int | None = None,
) -> nn.Sequential:
    """Takes (batch, input_channels, height, width), gives logits (batch, classes).

    Weights are normal with variance 2 / fan-in, never zero, so that an untrained network
    computes as fast as a trained one; `seed` makes them reproducible and leaves the global
    generator alone. The network is in training mode, as PyTorch's modules are.
    """
    architecture = scaled(architecture, width_multiplier)
    stem, head = architecture.stem_channels, architecture.head_channels
    last = architecture.blocks[-1].out_channels
    with torch.device("meta"):  # PyTorch's own initialisation would be thrown away
        network = nn.Sequential(
            OrderedDict(
                stem=_convolution(input_channels, stem, 3, stem_stride),
                blocks=nn.Sequential(
                    *(
                        nn.Sequential(*map(MobileLayer, layers))
                        for layers in layers_by_block(architecture)
                    )
                ),
                head=_convolution(last, head, 1),
                pool=GlobalAveragePool(),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                classifier=nn.Linear(head, classes),
            )
        )
    network.to_empty(device="cpu")
    initialize(network, seed)
    return network


class MobileLayer(nn.Module):
    """One layer of a block: its convolutions and, added to their output, its skip."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.body = nn.Sequential(*_body(layer))
        self.skip = _skip(layer.skip)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out if self.skip is None else out + self.skip(x)


class SqueezeExcite(nn.Module):
    """Scales every channel by what the means of all channels say of it."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.pool = GlobalAveragePool()
        self.reduce = nn.Conv2d(channels, bottleneck, 1)
        self.activation = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(bottleneck, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(self.activation(self.reduce(self.pool(x)))))


class GlobalAveragePool(nn.Module):
    """Keeps the two spatial dimensions, at 1: in this form XNNPACK takes it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def _body(layer: Layer) -> list[nn.Module]:
    expanded = layer.expanded_channels
    modules: list[nn.Module] = []
    if layer.op == "conv":
        modules.append(_convolution(layer.in_channels, expanded, layer.kernel_size, layer.stride))
    else:
        if layer.op == "mbconv":
            modules.append(_convolution(layer.in_channels, expanded, 1))
        modules.append(
            _convolution(expanded, expanded, layer.kernel_size, layer.stride, groups=expanded)
        )
    if layer.se_channels:
        modules.append(SqueezeExcite(expanded, layer.se_channels))
    if layer.op != "conv":
        modules.append(_convolution(expanded, layer.out_channels, 1, activation=False))
    return modules


def _convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    modules: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM),
    ]
    if activation:
        modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


def _skip(kind: str) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "identity":
        return nn.Identity()
    # TensorFlow's SAME pooling does not count the padding; nor would XNNPACK.
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


def initialize(network: nn.Module, seed: int | None) -> None:
    """Weights as `build_network` has them."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
