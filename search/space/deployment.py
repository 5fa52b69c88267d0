"""The shape in which networks are deployed: the resolution and the number of classes."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.precision import Precision


@dataclass(frozen=True)
class Deployment:
    """The shape in which a network is deployed.

    Attributes:
        resolution: Height and width of the input image, in pixels.
        classes: Number of classes that the network tells apart.
        precision: What the network's program computes with.
    """

    resolution: int = 224
    classes: int = 1000
    precision: Precision = Precision.FP32

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of the input: (batch, channels, height, width)."""
        return (1, 3, self.resolution, self.resolution)


DEFAULT_DEPLOYMENT = Deployment()
