"""ResNet-18, arXiv 1512.03385, table 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.networks.layers import classifier, convolution


class ResNet18(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
        channels = 64
        for out_channels in (64, 128, 256, 512):
            layers.append(BasicBlock(channels, out_channels, 1 if channels == out_channels else 2))
            layers.append(BasicBlock(out_channels, out_channels, 1))
            channels = out_channels
        super().__init__(*layers, *classifier(512))


class BasicBlock(nn.Module):
    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, out_channels, 3, stride),
            convolution(out_channels, out_channels, 3, activation=None),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = convolution(channels, out_channels, 1, stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))
