"""Parameters and multiply-adds of an Architecture, counted as its authors count them.

Multiply-adds are those of the convolutions, squeeze-and-excitation's included, and of the
classifier. Batch-norms, activations, pools and additions count nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.operators import Convolution, Layer, SqueezeExcite, describe


@dataclass(frozen=True, slots=True)
class Counts:
    """The size of a network or of a part of it.

    Attributes:
        parameters: Number of trained values. A batch-norm has two for each channel.
        multiply_adds: Number of multiply-adds for one image.
    """

    parameters: int
    multiply_adds: int


def counts(architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT) -> Counts:
    """Return the counts of the whole network."""
    return _sum(part for _, part in counts_by_part(architecture, deployment))


def counts_by_part(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> list[tuple[str, Counts]]:
    """Return the counts of "stem", "block1", "block2" and so on, "head" and "classifier"."""
    network = describe(architecture, deployment)
    weights = architecture.head_channels * network.classes
    return [
        ("stem", _convolution(network.stem)),
        *(
            (f"block{number}", _sum(map(_convolution, _convolutions(layers))))
            for number, layers in enumerate(network.blocks, start=1)
        ),
        ("head", _convolution(network.head)),
        ("classifier", Counts(weights + network.classes, weights)),
    ]


def _convolutions(layers: Iterable[Layer]) -> Iterator[Convolution]:
    """Yield all convolutions of some layers, squeeze-and-excitation's included."""
    for layer in layers:
        for operator in layer.body:
            if isinstance(operator, SqueezeExcite):
                yield operator.reduce
                yield operator.expand
            else:
                yield operator


def _convolution(operator: Convolution) -> Counts:
    _, height, width, channels = operator.output
    seen_channels = operator.input[-1] // operator.groups
    weights = seen_channels * channels * operator.kernel_size**2
    others = 2 * channels if operator.batch_norm else channels
    return Counts(weights + others, weights * height * width)


def _sum(parts: Iterable[Counts]) -> Counts:
    listed = list(parts)
    return Counts(
        sum(part.parameters for part in listed), sum(part.multiply_adds for part in listed)
    )
