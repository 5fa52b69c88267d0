"""MobileNetV2, arXiv 1801.04381, table 2."""

from __future__ import annotations

from torch import nn

from tests.networks.layers import Residual, classifier, convolution

# expansion, channels, layers, stride
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(3, 32, 3, 2, activation=nn.ReLU6)]
        channels = 32
        for expansion, out_channels, repeats, stride in STAGES:
            for i in range(repeats):
                layers.append(_block(channels, out_channels, expansion, stride if i == 0 else 1))
                channels = out_channels
        layers.append(convolution(channels, 1280, activation=nn.ReLU6))
        super().__init__(*layers, *classifier(1280))


def _block(channels: int, out_channels: int, expansion: int, stride: int) -> nn.Module:
    expanded = channels * expansion
    body = nn.Sequential(
        *([convolution(channels, expanded, activation=nn.ReLU6)] if expansion > 1 else []),
        convolution(expanded, expanded, 3, stride, groups=expanded, activation=nn.ReLU6),
        convolution(expanded, out_channels, activation=None),
    )
    return Residual(body) if stride == 1 and channels == out_channels else body
