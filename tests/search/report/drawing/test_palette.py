from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from search.report.drawing.palette import DARK, KINDS, LIGHT

# How people without one kind of cones see linear RGB: Machado, Oliveira and Fernandes (2009),
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1.
VISION = {
    "ordinary": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
MIN_DIFFERENCE = 16.0


def lab(color: str, vision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a colour in CIELAB, as a kind of vision sees it."""
    values = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(vision @ linear, 0, 1) / WHITE
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("vision", list(VISION))
def test_the_colours_of_kinds_can_be_told_apart(palette: dict[str, str], vision: str) -> None:
    seen = [lab(palette[name], VISION[vision]) for name in (*KINDS, "predicted")]
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(a - b) >= MIN_DIFFERENCE
