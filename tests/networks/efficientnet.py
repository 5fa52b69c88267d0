"""EfficientNet-B0, arXiv 1905.11946, table 1."""

from __future__ import annotations

from torch import nn

from tests.networks.layers import Residual, SqueezeExcite, classifier, convolution

# expansion, kernel, channels, layers, stride
STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


class EfficientNetB0(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(3, 32, 3, 2, activation=nn.SiLU)]
        channels = 32
        for expansion, kernel_size, out_channels, repeats, stride in STAGES:
            for i in range(repeats):
                body = _body(
                    channels, out_channels, expansion, kernel_size, stride if i == 0 else 1
                )
                layers.append(body if i == 0 else Residual(body))
                channels = out_channels
        layers.append(convolution(channels, 1280, activation=nn.SiLU))
        super().__init__(*layers, *classifier(1280))


def _body(
    channels: int, out_channels: int, expansion: int, kernel_size: int, stride: int
) -> nn.Sequential:
    expanded = channels * expansion
    return nn.Sequential(
        *([convolution(channels, expanded, activation=nn.SiLU)] if expansion > 1 else []),
        convolution(expanded, expanded, kernel_size, stride, groups=expanded, activation=nn.SiLU),
        SqueezeExcite(expanded, channels // 4, nn.SiLU, nn.Sigmoid),
        convolution(expanded, out_channels, activation=None),
    )
