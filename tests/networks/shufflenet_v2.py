"""ShuffleNetV2 ×1.0, arXiv 1807.11164, table 5 and figure 3."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.networks.layers import classifier, convolution


class ShuffleNetV2(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(3, 24, 3, 2), nn.MaxPool2d(3, 2, padding=1)]
        channels = 24
        for out_channels, repeats in ((116, 4), (232, 8), (464, 4)):
            layers.append(Downsampling(channels, out_channels))
            layers += [Unit(out_channels) for _ in range(repeats - 1)]
            channels = out_channels
        super().__init__(*layers, convolution(channels, 1024), *classifier(1024))


class Unit(nn.Module):
    """Works on one half of the channels and passes the other on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        passed, worked_on = x.chunk(2, dim=1)
        return shuffle(torch.cat((passed, self.branch(worked_on)), dim=1))


class Downsampling(nn.Module):
    """Both branches work, on all channels, and halve height and width."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            convolution(channels, channels, 3, 2, groups=channels, activation=None),
            convolution(channels, half),
        )
        self.branch = _branch(channels, half, 2)

    def forward(self, x: Tensor) -> Tensor:
        return shuffle(torch.cat((self.shortcut(x), self.branch(x)), dim=1))


def shuffle(x: Tensor) -> Tensor:
    """Interleaves the two halves of the channels."""
    batch, channels, height, width = x.shape
    halves = x.view(batch, 2, channels // 2, height, width)
    return halves.transpose(1, 2).reshape(batch, channels, height, width)


def _branch(channels: int, half: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(channels, half),
        convolution(half, half, 3, stride, groups=half, activation=None),
        convolution(half, half),
    )
