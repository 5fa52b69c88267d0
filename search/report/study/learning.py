"""The plot of what a strategy reported about its learning."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search.report.drawing.canvas import STYLE, Plot
from search.report.drawing.palette import LIGHT
from search.report.study.data import ReportData

COLUMNS = 2
PANEL_INCHES = (4.3, 2.0)
# What PPO reports, in words; a statistic of another name is drawn under that name.
LABELS = {
    "entropy": "entropy (nats)",
    "approx_kl": "KL from the old policy (nats)",
    "clip_fraction": "clipped share",
    "baseline": "baseline of the reward",
}


def learning(data: ReportData) -> Plot | None:
    """Plot each statistic of the strategy by round, in a panel of its own.

    Returns:
        The plot, or None if the strategy reported nothing, or an older version made the study.
    """
    reported = {name for each in data.statistics.values() for name in each}
    names = [name for name in LABELS if name in reported] + sorted(reported - LABELS.keys())
    if not names:
        return None
    rows = -(-len(names) // COLUMNS)
    with rc_context(STYLE):
        width, height = PANEL_INCHES
        figure = Figure(figsize=(COLUMNS * width, rows * height), layout="constrained")
        grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False)
        for axes, name in zip(grid.flat, names, strict=False):
            points = [(i + 1, each[name]) for i, each in data.statistics.items() if name in each]
            rounds, values = zip(*points, strict=True)
            axes.plot(rounds, values, ".-", color=LIGHT["front"], markersize=4, linewidth=1.2)
            axes.set_title(LABELS.get(name, name), fontsize=10)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="x", visible=False)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("round")
    return Plot(figure)
