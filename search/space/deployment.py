"""The input size and the number of classes of deployed networks."""

from __future__ import annotations

RESOLUTION = 224  # pixels, both ways
CLASSES = 1000
INPUT_SHAPE = (1, 3, RESOLUTION, RESOLUTION)
