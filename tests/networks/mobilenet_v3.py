"""MobileNetV3-Small, arXiv 1905.02244, table 2."""

from __future__ import annotations

from torch import nn

from tests.networks.layers import Residual, SqueezeExcite, classifier, convolution

# kernel, expanded channels, channels, squeeze-and-excitation, activation, stride
BLOCKS: tuple[tuple[int, int, int, bool, type[nn.Module], int], ...] = (
    (3, 16, 16, True, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 2),
    (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1),
    (5, 144, 48, True, nn.Hardswish, 1),
    (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1),
    (5, 576, 96, True, nn.Hardswish, 1),
)


class MobileNetV3Small(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(3, 16, 3, 2, activation=nn.Hardswish)]
        channels = 16
        for kernel_size, expanded, out_channels, excite, activation, stride in BLOCKS:
            body: list[nn.Module] = []
            if expanded > channels:
                body.append(convolution(channels, expanded, activation=activation))
            body.append(
                convolution(
                    expanded, expanded, kernel_size, stride, groups=expanded, activation=activation
                )
            )
            if excite:
                bottleneck = _multiple_of_8(expanded / 4)
                body.append(SqueezeExcite(expanded, bottleneck, nn.ReLU, nn.Hardsigmoid))
            body.append(convolution(expanded, out_channels, activation=None))
            adds = stride == 1 and channels == out_channels
            layers.append(Residual(nn.Sequential(*body)) if adds else nn.Sequential(*body))
            channels = out_channels
        layers.append(convolution(channels, 576, activation=nn.Hardswish))
        super().__init__(*layers, *classifier(1024, nn.Linear(576, 1024), nn.Hardswish()))


def _multiple_of_8(channels: float) -> int:
    """The nearest, never below 0.9 of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
