"""The modules of the hand-written networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 10


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Classifier(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            _convolution(3, 16, 2),
            _convolution(16, 32, 2),
            nn.MaxPool2d(2),
            _convolution(32, 64),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, CLASSES),
        )


class Attention(nn.Module):
    """Self-attention between a norm and a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        attended, _ = self.attention(y, y, y, need_weights=False)
        out: Tensor = x + attended
        return out


class Convolution1d(nn.Sequential):
    """Classifies sequences."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(8, 32, 5, stride=2, padding=2),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Conv1d(32, 64, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(64, CLASSES),
        )


class Convolution3d(nn.Sequential):
    """Classifies videos."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(1, 8, 3, padding=1),
            nn.BatchNorm3d(8),
            nn.ReLU(),
            nn.MaxPool3d(2),
            nn.Conv3d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(16, CLASSES),
        )


class DepthwiseOnly(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(
                layer
                for size in (3, 5, 7)
                for layer in (
                    nn.Conv2d(16, 16, size, padding=size // 2, groups=16),
                    nn.BatchNorm2d(16),
                    nn.ReLU6(),
                )
            )
        )


class DilatedGrouped(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(16, 32, 3, padding=2, dilation=2, groups=4),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 32, 3, padding=4, dilation=4, groups=8),
            nn.PReLU(32),
            nn.Conv2d(32, 16, 1),
        )


class Detector(nn.Module):
    """Boxes, scores and classes at two scales; a tuple of three tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 16, 2), _convolution(16, 32, 2))
        self.deep = _convolution(32, 64, 2)
        self.lateral = nn.Conv2d(64, 32, 1)
        self.boxes = nn.Conv2d(32, 4, 3, padding=1)
        self.scores = nn.Conv2d(32, 1, 3, padding=1)
        self.classes = nn.Conv2d(32, CLASSES, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stem(x)
        coarse = self.lateral(self.deep(fine))
        fine = fine + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        heads = [
            torch.cat([head(level).flatten(2) for level in (fine, coarse)], dim=2).transpose(1, 2)
            for head in (self.boxes, self.scores, self.classes)
        ]
        return heads[0], heads[1].sigmoid(), heads[2].softmax(dim=-1)


class DictOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(3, 16, 2), _convolution(16, 32, 2))
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        embedding = features.mean(dim=(2, 3))
        return {"features": features, "embedding": embedding, "logits": self.head(embedding)}


class Gru(nn.Module):
    """Classifies a sequence by its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(32, 64, batch_first=True)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x)
        out: Tensor = self.head(states[:, -1])
        return out


class KeywordInputs(nn.Module):
    """Its inputs are keywords, the second of which may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, *, features: Tensor, scale: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(features)
        return y if scale is None else y * torch.sigmoid(scale)


class Lstm(nn.Module):
    """Returns each step's output and the last states."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(32, 64, num_layers=2, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        out: tuple[Tensor, tuple[Tensor, Tensor]] = self.lstm(x)
        return out


class MlpGelu(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, CLASSES)
        )


class SuperResolution(nn.Module):
    """Enlarges an image by two: a sub-pixel convolution beside bilinear interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.Tanh(), nn.Conv2d(32, 12, 3, padding=1)
        )
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        enlarged = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        out: Tensor = enlarged + self.shuffle(self.body(x))
        return out


class TransformerEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x)
        return out


class TwoInputs(nn.Module):
    """An image and a vector of numbers about it."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(_convolution(3, 16, 2), _convolution(16, 32, 2))
        self.numbers = nn.Linear(10, 32)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        seen = self.image(image).mean(dim=(2, 3))
        out: Tensor = self.head(torch.cat((seen, torch.relu(self.numbers(numbers))), dim=1))
        return out


class UNet(nn.Module):
    """Segments an image, with transposed convolutions on the way up."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.down = nn.ModuleList(
            _convolution(before, after) for before, after in zip((3, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(w, w // 2, 2, stride=2) for w in widths[:0:-1])
        self.merge = nn.ModuleList(_convolution(w, w // 2) for w in widths[:0:-1])
        self.head = nn.Conv2d(widths[0], CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        skipped: list[Tensor] = []
        for index, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if index else x)
            skipped.append(x)
        for up, merge, skip in zip(self.up, self.merge, skipped[-2::-1], strict=True):
            x = merge(torch.cat((skip, up(x)), dim=1))
        out: Tensor = self.head(x)
        return out
