"""Figures, axes and styles that all plots share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from latlab.domain.estimate import milliseconds_text
from search.report.drawing.arrays import FloatArray
from search.report.drawing.palette import LIGHT

MS = 1e-6  # per nanosecond
WIDE_RANGE = 5  # an axis is logarithmic if its largest latency is so many times its smallest

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.facecolor": LIGHT["paper"],
    "figure.facecolor": LIGHT["paper"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["line"],
    "ytick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "latency-lab",
}


@dataclass(frozen=True)
class Plot:
    """A figure and the tooltips of its points.

    Attributes:
        tooltips: For the gid of each scatter the texts of its points, in their order.
    """

    figure: Figure
    tooltips: dict[str, list[str]] = field(default_factory=dict)


def save(plot: Plot, path: Path) -> None:
    """Write the plot to a file, in the format that its suffix names."""
    with rc_context(STYLE):
        plot.figure.savefig(path, dpi=160)


def new_figure(size_inches: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = Figure(figsize=size_inches, layout="constrained")
    return figure, figure.subplots()


def draw_target(axes: Axes, target_ns: float) -> None:
    """Draw the target latency as a vertical line; the x axis is in ms."""
    axes.axvline(target_ns * MS, color=LIGHT["target"], linestyle=(0, (5, 4)), linewidth=1.4)
    axes.annotate(
        f"target {milliseconds_text(target_ns)} ms",
        (target_ns * MS, 1),
        (6, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=LIGHT["target"],
        va="top",
        fontsize=9,
    )


def draw_numbers(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw a ring around each network on a front, and its number, from 1, above it."""
    color = LIGHT["front"]
    axes.scatter(x, y, s=78, facecolor="none", edgecolor=color, linewidth=1.6, zorder=4)
    for number, point in enumerate(zip(x, y, strict=True), 1):
        axes.annotate(
            str(number),
            point,
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=color,
            fontweight="bold",
        )


def from_one(axes: Axes) -> None:
    """Let the y axis begin at 1 and end above everything that is drawn."""
    axes.set_ylim(1, max(2.0, 1.04 * axes.dataLim.y1))


def scale_latencies(axes: Axes, names: str, values_ms: Sequence[float] | FloatArray) -> None:
    """Make the axes with these names ("x", "xy") logarithmic if the latencies differ much."""
    if max(values_ms) < WIDE_RANGE * min(values_ms):
        return
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
