"""The input size and the number of classes of deployed networks."""

from __future__ import annotations

from dataclasses import dataclass

RESOLUTION = 224  # pixels, both ways
CLASSES = 1000
INPUT_SHAPE = (1, 3, RESOLUTION, RESOLUTION)


@dataclass(frozen=True)
class Deployment:
    """The shape in which a network is deployed.

    Attributes:
        resolution: Height and width of the input image, in pixels.
        classes: Number of classes that the network tells apart.
    """

    resolution: int = RESOLUTION
    classes: int = CLASSES

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of the input, (batch, channels, height, width)."""
        return (1, 3, self.resolution, self.resolution)


DEFAULT = Deployment()
