"""Networks with one planted defect each, beside themselves with its remedy; and healthy ones.

Widths and resolutions are others than those that the rules of `latlab.profiling.findings` were
developed with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from latlab.domain.kernel import Shape
from latlab.domain.precision import Precision
from latlab.profiling.findings import FindingKind

Activation = Callable[[], nn.Module]


@dataclass(frozen=True)
class Variant:
    """A network and what it is exported for."""

    make: Callable[[], nn.Module]
    shape: Shape
    precision: Precision = Precision.FP32


@dataclass(frozen=True)
class Defect:
    """A network with a defect, and the same with the remedy that its finding names."""

    kind: FindingKind
    planted: Variant
    remedied: Variant


class PerPixel(nn.Module):
    """A linear layer on the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.linear(x.permute(0, 2, 3, 1))
        return mixed.permute(0, 3, 1, 2)


class Gate(nn.Module):
    """A squeeze-and-excitation whose gate is computed by a function."""

    def __init__(self, channels: int, gate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        squeezed = functional.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * self.gate(self.expand(squeezed))


class Sum(nn.Module):
    """The sum of layers' output and their input."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + x  # type: ignore[no-any-return]


class Residual(Sum):
    """The same, and then ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x))


class Branches(nn.Module):
    """The concatenated outputs of modules."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def conv(
    inputs: int,
    outputs: int,
    size: int = 3,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    activation: Activation = nn.ReLU,
) -> nn.Sequential:
    """Return a convolution with batch normalization and an activation."""
    padding = dilation * (size // 2)
    layer = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), activation())


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a depthwise convolution and one of 1 x 1."""
    return nn.Sequential(conv(inputs, inputs, 3, stride, inputs), conv(inputs, outputs, 1))


def stem_and(*layers: nn.Module, width: int) -> nn.Sequential:
    """Return layers behind a first convolution of stride 2."""
    return nn.Sequential(conv(3, width, 3, 2), *layers)


def repeated(count: int, make: Callable[[], nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(make() for _ in range(count)))


def defects() -> Sequence[Defect]:
    """Return one defect of each kind."""
    images = (1, 3, 104, 136)
    return (
        _defect(FindingKind.OUTSIDE, images, lambda: _normed(nn.GroupNorm(7, 56)),
                lambda: _normed(nn.BatchNorm2d(56))),
        _defect(FindingKind.LAYOUT, images, lambda: _mixed(PerPixel),
                lambda: _mixed(lambda width: nn.Conv2d(width, width, 1))),
        _defect(FindingKind.BROKEN, images, lambda: _gated(torch.erf),
                lambda: _gated(torch.tanh)),
        _defect(FindingKind.VARIANT, images, lambda: _pooled(count_include_pad=True),
                lambda: _pooled(count_include_pad=False)),
        _defect(FindingKind.ACTIVATION, images, lambda: _activated(nn.GELU),
                lambda: _activated(nn.ReLU)),
        _defect(FindingKind.BATCH_NORM, images, lambda: _normed_first(True),
                lambda: _normed_first(False)),
        _defect(FindingKind.CHANNELS, (1, 3, 112, 80), lambda: _wide(100), lambda: _wide(96)),
        _defect(FindingKind.GROUPS, images, lambda: _grouped(28), lambda: _grouped(56)),
        _defect(FindingKind.WEIGHTS, (1, 3, 72, 72), lambda: _classified(is_pooled=False),
                lambda: _classified(is_pooled=True)),
        _defect(FindingKind.CONVOLUTION, (1, 3, 88, 72), _transposed, _resized),
        _defect(FindingKind.FLOAT_ISLAND, images, lambda: _activated(nn.SiLU),
                lambda: _activated(nn.Hardswish), Precision.INT8),
        Defect(
            FindingKind.EVERY_CALL,
            Variant(lambda: _resizing((104, 136)), (1, 3, 416, 480)),
            Variant(lambda: _resizing(None), images),
        ),
    )  # fmt: skip


def _defect(
    kind: FindingKind,
    shape: Shape,
    planted: Callable[[], nn.Module],
    remedied: Callable[[], nn.Module],
    precision: Precision = Precision.FP32,
) -> Defect:
    return Defect(kind, Variant(planted, shape, precision), Variant(remedied, shape, precision))


def _normed(norm: nn.Module) -> nn.Module:
    return stem_and(nn.Conv2d(56, 56, 1), norm, nn.ReLU(), conv(56, 56, 3, 2), width=56)


def _mixed(mix: Callable[[int], nn.Module]) -> nn.Module:
    return stem_and(mix(56), nn.ReLU(), conv(56, 56, 1), mix(56), conv(56, 56, 1), width=56)


def _gated(gate: Callable[[Tensor], Tensor]) -> nn.Module:
    blocks = repeated(3, lambda: nn.Sequential(conv(88, 88, 3, groups=88), Gate(88, gate)))
    return stem_and(blocks, conv(88, 24, 1), width=88)


def _pooled(count_include_pad: bool) -> nn.Module:
    pool = nn.AvgPool2d(3, 2, 1, count_include_pad=count_include_pad)
    return stem_and(conv(56, 56, 1), pool, conv(56, 56), width=56)


def _activated(activation: Activation) -> nn.Module:
    blocks = repeated(4, lambda: conv(56, 56, 1, activation=activation))
    return stem_and(blocks, conv(56, 56, 3, 2), width=56)


def _normed_first(is_first: bool) -> nn.Module:
    """Return residual blocks whose norm comes before the convolution, or after it."""

    def block() -> nn.Module:
        layers = [nn.BatchNorm2d(56), nn.ReLU(), nn.Conv2d(56, 56, 1)]
        return Sum(*(layers if is_first else [layers[2], *layers[:2]]))

    return stem_and(repeated(5, block), width=56)


def _wide(width: int) -> nn.Module:
    return stem_and(conv(56, width), conv(width, width), conv(width, 32, 1), width=56)


def _grouped(groups: int) -> nn.Module:
    return stem_and(conv(56, 56, groups=groups), conv(56, 56, 1), width=56)


def _classified(is_pooled: bool) -> nn.Module:
    features = stem_and(conv(56, 72, 3, 2), width=56)
    pool, values = (nn.AdaptiveAvgPool2d(1), 72) if is_pooled else (nn.Identity(), 72 * 18 * 18)
    return nn.Sequential(features, pool, nn.Flatten(), nn.Linear(values, 704))


def _transposed() -> nn.Module:
    return stem_and(conv(56, 56), nn.ConvTranspose2d(56, 56, 4, 2, 1), nn.ReLU(), width=56)


def _resized() -> nn.Module:
    upsample = nn.Upsample(scale_factor=2, mode="bilinear")
    return stem_and(conv(56, 56), conv(56, 56), upsample, width=56)


def _resizing(size: tuple[int, int] | None) -> nn.Module:
    resize = nn.Identity() if size is None else nn.Upsample(size=size, mode="bilinear")
    return nn.Sequential(resize, stem_and(separable(32, 56, 2), separable(56, 72, 2), width=32))


def healthy() -> Sequence[Variant]:
    """Return networks without a defect. Their channels are multiples of 32."""
    images = (1, 3, 144, 112)
    return (
        Variant(lambda: stem_and(conv(32, 32), nn.MaxPool2d(2), conv(32, 64), width=32), images),
        Variant(_residual, images),
        Variant(_residual, images, Precision.INT8),
        Variant(_separable, images),
        Variant(_bottlenecks, images),
        Variant(lambda: stem_and(conv(32, 128, 1), Gate(128, torch.sigmoid), conv(128, 32, 1),
                                 width=32), images),
        Variant(lambda: stem_and(_branching(32), _branching(96), width=32), images),
        Variant(_decoder, images),
        Variant(lambda: stem_and(nn.AvgPool2d(2), conv(32, 64, 5), _head(64), width=32), images),
        Variant(lambda: repeated(3, lambda: nn.Sequential(nn.Linear(320, 320), nn.ReLU())),
                (48, 320)),
    )  # fmt: skip


def _head(width: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 96))


def _residual() -> nn.Module:
    def block() -> nn.Module:
        return Residual(conv(96, 96), nn.Conv2d(96, 96, 3, padding=1))

    return stem_and(nn.MaxPool2d(2), block(), block(), width=96)


def _separable() -> nn.Module:
    blocks = (separable(32, 96), separable(96, 160, 2), separable(160, 160))
    return stem_and(*blocks, _head(160), width=32)


def _bottlenecks() -> nn.Module:
    def block() -> nn.Module:
        return Residual(
            conv(32, 192, 1, activation=nn.ReLU6),
            conv(192, 192, 3, groups=192, activation=nn.ReLU6),
            nn.Conv2d(192, 32, 1),
        )

    return stem_and(block(), block(), width=32)


def _branching(width: int) -> nn.Module:
    return Branches(conv(width, 32, 1), conv(width, 32, 3), conv(width, 32, 3, dilation=2))


def _decoder() -> nn.Module:
    upsample = nn.Upsample(scale_factor=2, mode="bilinear")
    return stem_and(conv(32, 64, 3, 2), upsample, conv(64, 32), width=32)
