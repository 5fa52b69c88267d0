"""The shape in which networks are deployed: what they are measured with and counted for."""

from __future__ import annotations

RESOLUTION = 224  # pixels, both ways
CLASSES = 1000
INPUT_SHAPE = (1, 3, RESOLUTION, RESOLUTION)
