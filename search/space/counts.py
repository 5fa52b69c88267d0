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
    """Return the numbers of parameters and multiply-adds of a whole network."""
    parts = [part for _, part in counts_by_part(architecture, deployment)]
    return Counts(sum(part.parameters for part in parts), sum(part.multiply_adds for part in parts))


def counts_by_part(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> list[tuple[str, Counts]]:
    """Return the size of each part: "stem", "block1", "block2" …, "head" and "classifier"."""
    network = describe(architecture, deployment)
    weights = architecture.head_channels * network.classes
    return [
        ("stem", _counts([network.stem])),
        *(
            (f"block{number}", _counts(_convolutions(layers)))
            for number, layers in enumerate(network.blocks, start=1)
        ),
        ("head", _counts([network.head])),
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


def _counts(convolutions: Iterable[Convolution]) -> Counts:
    parameters = multiply_adds = 0
    for convolution in convolutions:
        _, height, width, channels = convolution.output
        seen_channels = convolution.input[-1] // convolution.groups
        weights = seen_channels * channels * convolution.kernel_size**2
        parameters += weights + (2 * channels if convolution.batch_norm else channels)
        multiply_adds += weights * height * width
    return Counts(parameters, multiply_adds)
