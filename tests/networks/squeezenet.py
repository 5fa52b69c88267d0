"""SqueezeNet 1.1, arXiv 1602.07360 as its authors slimmed it: fewer and smaller filters in
the first layer, and pools moved towards it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SqueezeNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 3, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, 2),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, 2),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
            nn.Conv2d(512, 1000, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


class Fire(nn.Module):
    """Squeezes, then expands by 1×1 and by 3×3 side by side, to `expanded` channels each."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand_1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand_3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat((torch.relu(self.expand_1x1(x)), torch.relu(self.expand_3x3(x))), dim=1)
