"""The plot of accuracy over the latency on each of several targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from search.report.drawing.arrays import FloatArray
from search.report.drawing.canvas import MS, STYLE, Plot, draw_numbers, scale_latencies
from search.report.drawing.palette import LIGHT
from search.report.study.data import ReportData
from search.study.combined_latency import on_each_target
from search.study.pareto import pareto_front
from search.study.trial import Trial, is_measured

PANEL_INCHES = (4.3, 3.6)
MOST_COLUMNS = 2


def accuracy_on_targets(data: ReportData) -> Plot | None:
    """Plot the accuracy of the measured networks over their latency on each target.

    The staircase is the front on this target alone. Numbered rings are the front of accuracy and
    the latency on each target.

    Returns:
        The plot, or None if the targets are not objectives of their own, or nothing was measured.
    """
    measured = [t for t in data.latest() if is_measured(t) and t.accuracy is not None]
    if not data.separate_targets or not measured:
        return None
    columns = min(len(data.targets), MOST_COLUMNS) or 1
    rows = -(-len(data.targets) // columns)
    with rc_context(STYLE):
        width, height = PANEL_INCHES
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for index, (name, axes) in enumerate(zip(data.targets, grid.flat, strict=False)):
            _draw(axes, index, measured, data.measured_front())
            axes.set_title(f"on {name}")
        for axes in grid.flat[len(data.targets) :]:
            axes.set_visible(False)
    return Plot(figure)


def _draw(axes: Axes, index: int, measured: Sequence[Trial], front: Sequence[Trial]) -> None:
    """Draw the latencies on one target."""
    x, y = _points(measured, index)
    axes.scatter(x, y, s=24, color=LIGHT["measured"], linewidth=0, zorder=3)
    stairs = pareto_front(y.tolist(), x.tolist())
    axes.step(x[stairs], y[stairs], where="post", color=LIGHT["front"], linewidth=1.6)
    scale_latencies(axes, "x", x)
    draw_numbers(axes, *_points(front, index))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_xlabel("latency (ms)")


def _points(trials: Sequence[Trial], index: int) -> tuple[FloatArray, FloatArray]:
    """Return the latencies on a target in ms, and the accuracies."""
    values = [
        (on_each_target(trial.latency)[index].latency_ns * MS, trial.accuracy)
        for trial in trials
        if trial.latency is not None
    ]
    x, y = np.array(values, np.float64).reshape(-1, 2).T
    return x, y
