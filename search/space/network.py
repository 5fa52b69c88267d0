"""An Architecture as a PyTorch module."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.operators import Convolution, Layer, SqueezeExcite, describe
from search.space.scaling import scaled

BATCH_NORM_MOMENTUM = 0.01  # TensorFlow calls this 0.99
BATCH_NORM_EPS = 1e-3


def build_network(
    architecture: Architecture,
    *,
    classes: int = DEFAULT_DEPLOYMENT.classes,
    width_multiplier: float = 1.0,
    round_coarsely: bool = True,
    stem_stride: int = 2,
    input_channels: int = 3,
    dropout: float = 0.0,
    seed: int | None = None,
) -> nn.Sequential:
    """Return a network in training mode, with new weights.

    Weights are normal with variance 2 / fan-in. None is zero, so an untrained network computes
    as fast as a trained one.

    Args:
        architecture: The network.
        classes: Number of outputs.
        width_multiplier: Factor of every channel count, which is then rounded.
        round_coarsely: Whether scaled channel counts are rounded to multiples of 8, or else to
            whole numbers.
        stem_stride: Stride of the first convolution.
        input_channels: Channels of the input images.
        dropout: Share of the features that training drops before the classifier.
        seed: Makes the weights reproducible, and leaves the global generator alone.

    Returns:
        A module that takes images (batch, input_channels, height, width) of any size and returns
        logits (batch, classes).
    """
    description = describe(
        scaled(architecture, width_multiplier, coarsely=round_coarsely),
        Deployment(classes=classes),
        input_channels=input_channels,
        stem_stride=stem_stride,
    )
    with torch.device("meta"):  # PyTorch's own initialisation would be thrown away
        network = MobileNetwork(
            OrderedDict(
                stem=_convolution(description.stem),
                blocks=nn.Sequential(
                    *(nn.Sequential(*map(MobileLayer, layers)) for layers in description.blocks)
                ),
                head=_convolution(description.head),
                pool=GlobalAveragePool(),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                classifier=nn.Linear(description.head.out_channels, description.classes),
            )
        )
    network.to_empty(device="cpu")
    initialize(network, seed)
    return network


class MobileNetwork(nn.Sequential):
    """Computes its parts one after another, in a line of its own that profiles can name."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        for part in self:
            x = part(x)
        return x


class MobileLayer(nn.Module):
    """One layer of a block: its operators and, added to their output, its skip."""

    def __init__(self, layer: Layer) -> None:
        """Build the layer as it is described."""
        super().__init__()
        self.body = nn.Sequential(*map(_operator, layer.body))
        self.skip = _skip(layer.skip)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for images (batch, channels, height, width)."""
        out: Tensor = self.body(x)
        return out if self.skip is None else out + self.skip(x)


class SqueezeExciteModule(nn.Module):
    """Scales every channel by a gate that is computed from the means of all channels."""

    def __init__(self, operator: SqueezeExcite) -> None:
        """Build the operator as it is described."""
        super().__init__()
        self.pool = GlobalAveragePool()
        self.reduce = _conv2d(operator.reduce)
        self.activation = nn.ReLU(inplace=True)
        self.expand = _conv2d(operator.expand)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (batch, channels, height, width), each channel scaled by its gate."""
        return x * torch.sigmoid(self.expand(self.activation(self.reduce(self.pool(x)))))


class GlobalAveragePool(nn.Module):
    """Averages over all pixels and keeps both dimensions, with size 1, as XNNPACK wants it."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the means (batch, channels, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


def _operator(operator: Convolution | SqueezeExcite) -> nn.Module:
    if isinstance(operator, SqueezeExcite):
        return SqueezeExciteModule(operator)
    return _convolution(operator)


def _convolution(operator: Convolution) -> nn.Sequential:
    modules: list[nn.Module] = [_conv2d(operator)]
    if operator.batch_norm:
        modules.append(nn.BatchNorm2d(operator.out_channels, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM))
    if operator.relu:
        modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


def _conv2d(operator: Convolution) -> nn.Conv2d:
    return nn.Conv2d(
        operator.input[-1],
        operator.out_channels,
        operator.kernel_size,
        operator.stride,
        padding=operator.kernel_size // 2,
        groups=operator.groups,
        bias=not operator.batch_norm,
    )


def _skip(kind: str) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "identity":
        return nn.Identity()
    # Neither TensorFlow's SAME pooling nor XNNPACK counts the padding.
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


def initialize(network: nn.Module, seed: int | None) -> None:
    """Give a network new weights, as `build_network` does."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
