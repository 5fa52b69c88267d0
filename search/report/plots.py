"""The plots: matplotlib figures, written as PNG or put into the page as SVG."""

from __future__ import annotations

from pathlib import Path

from search.report.data import FloatArray


def plot_parity(
    measured_ns: FloatArray,
    predicted_ns: FloatArray,
    lower_ns: FloatArray,
    upper_ns: FloatArray,
    title: str,
    path: Path,
) -> None:
    """Predicted against measured latency with intervals, as PNG or SVG by `path`'s suffix.
    The arrays are parallel, (n,)."""
    raise NotImplementedError
