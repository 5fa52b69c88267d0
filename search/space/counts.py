"""Parameters and multiply-adds of an Architecture, counted as its authors count them:
multiply-adds of convolutions and of the classifier (squeeze-and-excitation's included),
nothing for batch-norms, activations, pools and additions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from search.space.architecture import Architecture
from search.space.deployment import DEFAULT, Deployment
from search.space.layers import Layer, layers_by_block


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters are what training changes: batch-norms count two a channel."""

    parameters: int
    multiply_adds: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def counts(
    architecture: Architecture,
    *,
    resolution: int | None = None,
    classes: int | None = None,
    deployment: Deployment = DEFAULT,
) -> Counts:
    """Of the whole network, for one image of resolution × resolution × 3."""
    return _sum(
        part
        for _, part in counts_by_part(
            architecture, resolution=resolution, classes=classes, deployment=deployment
        )
    )


def counts_by_part(
    architecture: Architecture,
    *,
    resolution: int | None = None,
    classes: int | None = None,
    deployment: Deployment = DEFAULT,
) -> list[tuple[str, Counts]]:
    """ "stem", "block1" … , "head" and "classifier" with the counts of each."""
    classes = classes or deployment.classes
    size = _strided(resolution or deployment.resolution, 2)
    stem = architecture.stem_channels
    parts = [("stem", _convolution(3, stem, 3, size))]
    channels = stem
    for number, layers in enumerate(layers_by_block(architecture), start=1):
        block = []
        for layer in layers:
            block.append(_layer(layer, size))
            size = _strided(size, layer.stride)
        channels = layers[-1].out_channels
        parts.append((f"block{number}", _sum(block)))
    head = architecture.head_channels
    parts.append(("head", _convolution(channels, head, 1, size)))
    parts.append(("classifier", Counts(head * classes + classes, head * classes)))
    return parts


def _layer(layer: Layer, size: int) -> Counts:
    """size: of the input, in pixels a side."""
    expanded = layer.expanded_channels
    strided = _strided(size, layer.stride)
    parts = []
    if layer.op == "conv":
        parts.append(_convolution(layer.in_channels, expanded, layer.kernel_size, strided))
    else:
        if layer.op == "mbconv":
            parts.append(_convolution(layer.in_channels, expanded, 1, size))
        parts.append(_convolution(1, expanded, layer.kernel_size, strided))  # depthwise
        parts.append(_convolution(expanded, layer.out_channels, 1, strided))
    if layer.se_channels:
        weights = 2 * expanded * layer.se_channels
        parts.append(Counts(weights + expanded + layer.se_channels, weights))
    return _sum(parts)


def _convolution(inputs: int, outputs: int, kernel_size: int, size: int) -> Counts:
    """With its batch-norm. inputs: channels that each output sees. size: of the output."""
    weights = inputs * outputs * kernel_size**2
    return Counts(weights + 2 * outputs, weights * size**2)


def _strided(size: int, stride: int) -> int:
    return -(-size // stride)


def _sum(parts: Iterable[Counts]) -> Counts:
    return sum(parts, Counts(0, 0))
