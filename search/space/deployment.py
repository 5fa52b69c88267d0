"""The form in which networks are deployed: their resolution, classes and precision."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.precision import Precision


@dataclass(frozen=True)
class Deployment:
    """The form in which a network is deployed.

    Attributes:
        resolution: Height and width of the input image, in pixels.
        classes: Number of classes that the network tells apart.
        precision: The precision of the exported program.
    """

    resolution: int = 224
    classes: int = 1000
    precision: Precision = Precision.FP32

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of the input: (batch, channels, height, width)."""
        return (1, 3, self.resolution, self.resolution)

    @property
    def in_precision(self) -> str:
        """The end of a text about latencies: " in int8", or nothing for float32."""
        return "" if self.precision is Precision.FP32 else f" in {self.precision.value}"


DEFAULT_DEPLOYMENT = Deployment()
