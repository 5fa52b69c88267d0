"""Networks that nobody would train, for calibration.

They have the kernels that convolutional networks are made of, at random shapes and with
neighbours like those in real networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import exp, log
from random import Random

import torch
from torch import Tensor, nn

from search.space.network import GlobalAveragePool, initialize

_DIRECT = 8  # so many probes are lowered directly
_STAGES = 5  # each halves the image's size
_SMALLEST_SIZE = 7  # pixels: smaller images would need layers with very many weights

Layers = tuple[nn.Module, int]  # a module and the number of its output channels


def build_probe(index: int, resolution: int) -> nn.Sequential:
    """Return a probe network that takes (1, 3, resolution, resolution).

    It is the same every time. The first _DIRECT probes have each unit of direct lowering at each
    size; the others have the units that only ExecuTorch's own lowering takes.
    """
    with torch.device("meta"):  # PyTorch's own initialisation would be thrown away
        network = nn.Sequential(*_layers(Random(index), index, _sizes(resolution)))
    network.to_empty(device="cpu")
    initialize(network, seed=index)
    return network


def _sizes(resolution: int) -> list[int]:
    """Return the nominal image size in each stage, in pixels: 112 to 7 for 224."""
    sizes = [resolution >> stage for stage in range(1, _STAGES + 1)]
    return [size for size in sizes if size >= _SMALLEST_SIZE] or sizes[:1]


def _layers(draw: Random, index: int, sizes: Sequence[int]) -> list[nn.Module]:
    channels, kernel_size = draw.randrange(16, 65, 4), draw.choice((3, 5, 7))
    padding = draw.choice((0, kernel_size // 2))  # without padding, later sizes are odd
    layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel_size, 2, padding), _activation(draw)]
    units = _UNITS if index < _DIRECT else _STOCK_UNITS
    for stage, size in enumerate(sizes):
        turn = index + stage
        reduction = [_REDUCTIONS[turn % len(_REDUCTIONS)]] if stage else []
        for unit in (*reduction, units[turn % len(units)]):
            layer, channels = unit(draw, channels, size)
            layers.append(layer)
    hidden = draw.randrange(128, 1537, 4)
    return [
        *layers,
        GlobalAveragePool(),
        nn.Flatten(),
        nn.Linear(channels, hidden),
        _activation(draw),
        nn.Linear(hidden, draw.randrange(100, 2001)),
    ]


def _activation(draw: Random) -> nn.Module:
    activation: type[nn.Module] = draw.choice(
        (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Identity)
    )
    return activation()


def _conv(
    draw: Random,
    channels: int,
    out: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    padding = dilation * (kernel_size // 2)
    layer = nn.Conv2d(channels, out, kernel_size, stride, padding, dilation, groups)
    return nn.Sequential(layer, _activation(draw))


def _width(draw: Random, size: int, factor: float = 1.0) -> int:
    """Draw a number of channels, fewer for a large image: no layer is to take many ms."""
    low, high = 800 / size, 3800 / size
    return 4 * max(1, round(factor * exp(draw.uniform(log(low), log(high))) / 4))


def _wide(draw: Random, size: int) -> int:
    """Draw a number of channels between two 1 × 1 convolutions."""
    return _width(draw, size, factor=draw.uniform(2, 4))


# Units that keep the image's size, which is `size` pixels.


def _convolution(draw: Random, channels: int, size: int) -> Layers:
    out, groups = _width(draw, size), draw.choice((1, 1, 2, 4))
    layers = (
        _conv(draw, channels, out, draw.choice((1, 3))),
        _conv(draw, out, out, draw.choice((3, 5)), groups=groups),
    )
    return nn.Sequential(*layers), out


def _depthwise(draw: Random, channels: int, size: int) -> Layers:
    wide, out = _wide(draw, size), _width(draw, size)
    layers = (
        _conv(draw, channels, wide, 1),
        _conv(draw, wide, wide, draw.choice((3, 5)), groups=wide),
        _conv(draw, wide, wide, 7, groups=wide),
        nn.Conv2d(wide, out, 1),
    )
    return nn.Sequential(*layers), out


def _dilated(draw: Random, channels: int, size: int) -> Layers:
    wide, out = _wide(draw, size), _width(draw, size)
    layers = (
        _conv(draw, channels, wide, 1),
        _conv(draw, wide, wide, draw.choice((3, 5)), groups=wide, dilation=2),
        _conv(draw, wide, out, 1),
        _conv(draw, out, out, 3, dilation=draw.choice((2, 4))),
    )
    return nn.Sequential(*layers), out


def _pointwise(draw: Random, channels: int, size: int) -> Layers:
    wide, out = _wide(draw, size), _width(draw, size)
    return nn.Sequential(_conv(draw, channels, wide, 1), _conv(draw, wide, out, 1)), out


def _combined(draw: Random, channels: int, size: int) -> Layers:
    out, combine = _width(draw, size), draw.choice((torch.add, torch.mul))
    branches = [_branch(draw, channels, out) for _ in range(2)]
    return nn.Sequential(_Joined(lambda x: combine(*x), branches), _activation(draw)), out


def _concatenated(draw: Random, channels: int, size: int) -> Layers:
    widths = [_width(draw, size, factor=0.5) for _ in range(draw.randint(2, 4))]
    branches = [_branch(draw, channels, width) for width in widths]
    joined = _Joined(partial(torch.cat, dim=1), branches)
    return nn.Sequential(joined, _activation(draw)), sum(widths)


def _branch(draw: Random, channels: int, out: int) -> nn.Module:
    kind = draw.choice(("conv", "pointwise", "max pool", "average pool"))
    if kind == "conv":
        return _conv(draw, channels, out, 3)
    last = _conv(draw, channels, out, 1)
    if kind == "max pool":
        return nn.Sequential(nn.MaxPool2d(3, 1, 1), last)
    if kind == "average pool":
        return nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), last)
    return last


def _gated(draw: Random, channels: int, size: int) -> Layers:
    return _Gated(draw, channels, nn.Sigmoid()), channels


# Units that keep the image's size, for ExecuTorch's own lowering.


def _hard_gated(draw: Random, channels: int, size: int) -> Layers:
    return _Gated(draw, channels, nn.Hardsigmoid()), channels


def _shuffled(draw: Random, channels: int, size: int) -> Layers:
    half, out = channels // 2, _width(draw, size)
    return _Shuffled([_conv(draw, half, out // 2, kernel_size) for kernel_size in (1, 3)]), out


def _sliced(draw: Random, channels: int, size: int) -> Layers:
    first, out = channels // 2, _width(draw, size)
    branches = (_conv(draw, first, out, 3), _conv(draw, channels - first, out, 1))
    return _Sliced(first, branches), out


def _averaged(draw: Random, channels: int, size: int) -> Layers:
    few, out = 4 * max(1, 5_000 // size**2), _width(draw, size)
    pooled = nn.AvgPool2d(3, 1, 1)  # slow outside the backend, which counts no padding
    return nn.Sequential(_conv(draw, channels, few, 1), pooled, nn.Conv2d(few, out, 1)), out


# Units that halve the image's size, to `size` pixels.


def _strided(draw: Random, channels: int, size: int) -> Layers:
    out = _width(draw, size)
    return _conv(draw, channels, out, draw.choice((1, 3, 5)), stride=2), out


def _padded(draw: Random, channels: int, size: int) -> Layers:
    out = _width(draw, size)
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, out, 3, 2)), out


def _strided_depthwise(draw: Random, channels: int, size: int) -> Layers:
    wide, out = _wide(draw, size), _width(draw, size)
    layers = (
        _conv(draw, channels, wide, 1),
        _conv(draw, wide, wide, draw.choice((3, 5, 7)), stride=2, groups=wide),
        nn.Conv2d(wide, out, 1),
    )
    return nn.Sequential(*layers), out


_POOLS = ((2, 0), (3, 0), (3, 1))  # kernel size and padding


def _max_pooled(draw: Random, channels: int, size: int) -> Layers:
    kernel_size, padding = draw.choice(_POOLS)
    return nn.MaxPool2d(kernel_size, 2, padding), channels


def _average_pooled(draw: Random, channels: int, size: int) -> Layers:
    kernel_size, padding = draw.choice(_POOLS)
    return nn.AvgPool2d(kernel_size, 2, padding, count_include_pad=False), channels


Unit = Callable[[Random, int, int], Layers]
_UNITS: Sequence[Unit] = (
    _convolution,
    _depthwise,
    _combined,
    _gated,
    _concatenated,
    _pointwise,
    _dilated,
)
_STOCK_UNITS: Sequence[Unit] = (_hard_gated, _shuffled, _sliced, _averaged)
_REDUCTIONS: Sequence[Unit] = (
    _strided,
    _max_pooled,
    _strided_depthwise,
    _average_pooled,
    _padded,
)


class _Joined(nn.Module):
    def __init__(
        self, join: Callable[[list[Tensor]], Tensor], branches: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return self.join([branch(x) for branch in self.branches])


class _Gated(nn.Module):
    def __init__(self, draw: Random, channels: int, gate: nn.Module) -> None:
        super().__init__()
        bottleneck = max(1, channels // draw.randint(2, 8))
        self.gate = nn.Sequential(
            GlobalAveragePool(),
            _conv(draw, channels, bottleneck, 1),
            nn.Conv2d(bottleneck, channels, 1),
            gate,
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.gate(x)
        return out


class _Shuffled(nn.Module):
    """Applies a branch to each half of the channels, and interleaves the results."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.branches
        first, second = x.chunk(2, dim=1)
        x = torch.cat((one(first), other(second)), dim=1)
        batch, channels, height, width = x.shape
        halves = x.view(batch, 2, channels // 2, height, width)
        return halves.transpose(1, 2).reshape(batch, channels, height, width)


class _Sliced(nn.Module):
    def __init__(self, first: int, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.first = first
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.branches
        out: Tensor = one(x[:, : self.first]) + other(x[:, self.first :])
        return out
