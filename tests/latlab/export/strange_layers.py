"""The layers that strange modules are made of: for each kind a function of the input's shape
and of eight numbers from 0 to 11, which returns layers to be called one after another."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latlab.domain.kernel import Shape

Numbers = tuple[int, ...]


def _conv(shape: Shape, n: Numbers) -> list[nn.Module]:
    channels = shape[1]
    groups = (1, 1, 1, channels, 2 if channels % 2 == 0 else 1)[n[0] % 5]
    return [
        nn.Conv2d(
            channels,
            groups * (1 + n[1] % 4),
            (1 + n[2] % 3, 1 + n[3] % 3) if n[4] % 3 else 1 + n[2] % 5,
            stride=(1, 1, 2, 3, (1, 2))[n[5] % 5],
            padding=(n[2] % 5) // 2 + n[6] % 2,
            dilation=(1, 1, 1, 2)[n[7] % 4],
            groups=groups,
            bias=n[6] % 3 > 0,
        )
    ]


def _norm(shape: Shape, n: Numbers) -> list[nn.Module]:
    kind: type[nn.BatchNorm1d | nn.BatchNorm2d] = (
        nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    )
    layer = kind(shape[1], affine=n[0] % 4 > 0)
    with torch.no_grad():
        for statistic in (layer.running_mean, layer.running_var):
            assert statistic is not None
            statistic.uniform_(0.5, 2.0)
        for weight in layer.parameters():
            weight.uniform_(-2.0, 2.0)
    return [layer]


def _conv_norm(shape: Shape, n: Numbers) -> list[nn.Module]:
    (conv,) = _conv(shape, n)
    assert isinstance(conv, nn.Conv2d)
    return [conv, *_norm((shape[0], conv.out_channels, 1, 1), n)]


def _linear_head(shape: Shape, n: Numbers) -> list[nn.Module]:
    layers: list[nn.Module] = []
    features = shape[-1]
    if len(shape) == 4:
        pooled = n[0] % 2 == 0
        layers = [nn.AdaptiveAvgPool2d(1)] if pooled else []
        layers.append(nn.Flatten())
        features = shape[1] if pooled else shape[1] * shape[2] * shape[3]
    return [*layers, nn.Linear(features, 1 + n[1] % 5, bias=n[2] % 3 > 0)]


def _batch_statistics(shape: Shape, n: Numbers) -> list[nn.Module]:
    return [nn.BatchNorm2d(shape[1], track_running_stats=False)]


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module, in_place: bool) -> None:
        super().__init__()
        self.inner = inner
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        if self.in_place:
            y += x
            return y
        return x + y


def _residual(shape: Shape, n: Numbers) -> list[nn.Module]:
    if len(shape) == 2:
        return [Residual(nn.Linear(shape[1], shape[1]), n[0] % 2 == 0)]
    channels = shape[1]
    groups = channels if n[1] % 2 else 1
    inner = nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False),
        *_norm(shape, n),
        *_activation(n[2]),
    )
    return [Residual(inner, n[0] % 2 == 0)]


def _activation(number: int) -> list[nn.Module]:
    in_place = number % 2 == 0
    layers = (nn.ReLU(in_place), nn.ReLU6(in_place), nn.SiLU(in_place), nn.Hardswish(in_place))
    return [layers[number // 2]] if number < 8 else []


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 2, 1)
        self.excite = nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(y))))


class Concatenation(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, torch.relu(x), torch.sigmoid(x)), dim=self.dim)


class OwnWeight(nn.Module):
    """A weight that the module reads itself, beside a layer that reads it too."""

    mask: Tensor

    def __init__(self, channels: int, buffer: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.constant_(self.norm.weight, 3.0)
        self.buffer = buffer
        self.register_buffer("mask", torch.rand(1, channels, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        if self.buffer:
            return y * self.mask
        return y + F.conv2d(x, self.conv.weight)


class AlwaysTraining:
    """A layer that stays in training mode, whatever is asked of it."""

    def train(self, mode: bool = True) -> AlwaysTraining:
        self.training = True
        return self


class Changing(nn.Module):
    """Something else at every call: by chance, or by what it remembers."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.why == "noise":
            return x + torch.rand_like(x) + random.random()
        return x + float(self.calls)


ELEMENTWISE: tuple[Callable[[Tensor], Tensor], ...] = (
    torch.abs,
    lambda x: torch.exp(-x.abs()),
    lambda x: (x.abs() + 1.0).sqrt(),
    lambda x: x**2,
    torch.square,
    lambda x: 1.0 - x,
    lambda x: 0.5 * x,
    lambda x: torch.maximum(x, torch.sigmoid(x)),
    lambda x: torch.minimum(torch.tanh(x), x),
    nn.Hardtanh(-0.5, 2.0),
)


LAYERS: dict[str, Callable[[Shape, Numbers], list[nn.Module]]] = {
    "conv": _conv,
    "norm": _conv_norm,
    "relu": lambda shape, n: [nn.ReLU(n[0] % 2 == 0)],
    "relu6": lambda shape, n: [nn.ReLU6(n[0] % 2 == 0)],
    "sigmoid": lambda shape, n: [nn.Sigmoid()],
    "silu": lambda shape, n: [nn.SiLU(n[0] % 2 == 0)],
    "hardswish": lambda shape, n: [nn.Hardswish(n[0] % 2 == 0)],
    "f-relu": lambda shape, n: [Function((torch.relu, F.relu, F.relu6)[n[0] % 3])],
    "f-silu": lambda shape, n: [Function((F.silu, F.hardswish, torch.sigmoid)[n[0] % 3])],
    "avg-pool": lambda shape, n: [
        nn.AvgPool2d(1 + n[0] % 3, 1 + n[1] % 3, n[2] % 2, count_include_pad=False)
    ],
    "max-pool": lambda shape, n: [
        nn.MaxPool2d(1 + n[0] % 3, 1 + n[1] % 3, n[2] % 2, 1 + n[3] // 10)
    ],
    "global-pool": lambda shape, n: [nn.AdaptiveAvgPool2d((1, (1, 1), 2)[n[0] // 5])],
    "zero-pad": lambda shape, n: [nn.ZeroPad2d((n[0] % 3, n[1] % 3, n[2] % 3, n[3] % 2))],
    "dropout": lambda shape, n: [nn.Dropout(0.5, n[0] % 2 == 0)],
    "identity": lambda shape, n: [nn.Identity()],
    "residual": _residual,
    "gate": lambda shape, n: [Gate(shape[1])],
    "concatenation": lambda shape, n: [Concatenation((1, -1, 1, 2, -3)[n[0] % 5])],
    "linear-head": _linear_head,
    "tanh": lambda shape, n: [nn.Tanh()],
    "softmax": lambda shape, n: [nn.Softmax(dim=-1)],
    "counting-pool": lambda shape, n: [nn.AvgPool2d(3, 1 + n[0] % 2, 1)],
    "ceil-pool": lambda shape, n: [nn.MaxPool2d(2, 2, ceil_mode=True)],
    "reflect-pad": lambda shape, n: [nn.ReflectionPad2d(1)],
    "batch-statistics": _batch_statistics,
    "number": lambda shape, n: [Function(lambda x: x * 2.0 + 1.0)],
    "functional-dropout": lambda shape, n: [Function(lambda x: F.dropout(x, 0.5))],
    "own-parameter": lambda shape, n: [OwnWeight(shape[1], buffer=False)],
    "own-buffer": lambda shape, n: [OwnWeight(shape[1], buffer=True)],
    "elementwise": lambda shape, n: [Function(ELEMENTWISE[n[0] % len(ELEMENTWISE)])],
    "linear-image": lambda shape, n: [nn.Linear(shape[-1], 3)],
}
