"""What the networks have in common."""

from __future__ import annotations

from torch import Tensor, nn


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """With batch-norm, padded to keep the size where stride is 1."""
    convolution = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
    )
    last = [activation()] if activation else []
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), *last)


class SqueezeExcite(nn.Module):
    """arXiv 1709.01507."""

    def __init__(
        self,
        channels: int,
        bottleneck: int,
        activation: type[nn.Module],
        gate: type[nn.Module],
    ) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, bottleneck, 1),
            activation(),
            nn.Conv2d(bottleneck, channels, 1),
            gate(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.gate(x)
        return out


class Residual(nn.Module):
    """Adds its input to its body's output."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def classifier(in_channels: int, *hidden: nn.Module) -> list[nn.Module]:
    """Global average pool, flatten, `hidden` and 1000 logits from `in_channels` values."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *hidden, nn.Linear(in_channels, 1000)]
