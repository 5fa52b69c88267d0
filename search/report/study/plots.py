"""The plots of one study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from search.report.drawing.arrays import FloatArray
from search.report.drawing.canvas import (
    MS,
    STYLE,
    Plot,
    draw_numbers,
    draw_target,
    new_figure,
    save,
    scale_latencies,
)
from search.report.drawing.palette import LIGHT
from search.report.drawing.words import interval, short
from search.report.study.data import ReportData
from search.study.trial import Trial, is_measured

WIDE_INCHES, NARROW_INCHES = (8.6, 4.8), (4.4, 4.6)  # the latter for phones


def accuracy_latency(
    data: ReportData, size_inches: tuple[float, float] = WIDE_INCHES
) -> Plot | None:
    """Plot the accuracy of each trial over its latency, the target and the measured front.

    Points are solid for measured latencies and hollow for predicted ones. Lines are intervals of
    90 %: those of latencies lie across, and those of accuracies stand on the front, if the noise
    of accuracies is known.

    Returns:
        The plot, or None if no trial has a reward.
    """
    trials = [t for t in data.latest() if t.reward is not None]
    if not trials:
        return None
    with rc_context(STYLE):
        figure, axes = new_figure(size_inches)
        tooltips = {}
        for name, part, face in (
            ("predicted", [t for t in trials if not is_measured(t)], LIGHT["paper"]),
            ("measured", [t for t in trials if is_measured(t)], LIGHT["measured"]),
        ):
            x, low, high = _latencies_ms(part)
            y = np.array([t.accuracy for t in part], np.float64)
            color = LIGHT[name]
            axes.hlines(y, low, high, color=color, linewidth=1, zorder=2)
            axes.scatter(
                x,
                y,
                s=34,
                facecolor=face,
                edgecolor=color,
                linewidth=1.3,
                zorder=3,
                gid=f"points-{name}",
                label=f"{name} ({len(part)})",
            )
            tooltips[f"points-{name}"] = [_tooltip(t) for t in part]
        _draw_front(axes, data)
        draw_target(axes, data.target_latency_ns)
        scale_latencies(axes, "x", [data.target_latency_ns * MS, *_latencies_ms(trials)[0]])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.set_xlabel("combined latency (ms)" if data.separate_targets else "latency (ms)")
        axes.set_ylabel(f"accuracy of {data.accuracy}")
        figure.legend(loc="outside upper right", ncols=3, fontsize=9)
    return Plot(figure, tooltips)


def parity(
    measured_ns: FloatArray,
    predicted_ns: FloatArray,
    lower_ns: FloatArray,
    upper_ns: FloatArray,
    title: str,
    tooltips: Sequence[str] = (),
) -> Plot:
    """Plot predicted over measured latencies with their intervals and a band of ±10 %."""
    with rc_context(STYLE):
        figure, axes = new_figure((5.2, 4.8))
        measured, predicted, lower, upper = (
            np.asarray(values, np.float64) * MS
            for values in (measured_ns, predicted_ns, lower_ns, upper_ns)
        )
        both = np.concatenate((measured, predicted))
        ends = np.array([both.min() * 0.92, both.max() * 1.08])
        axes.fill_between(ends, ends * 0.9, ends * 1.1, color=LIGHT["line"], alpha=0.6, linewidth=0)
        axes.plot(ends, ends, color=LIGHT["muted"], linewidth=1)
        axes.vlines(measured, lower, upper, color=LIGHT["measured"], linewidth=1, alpha=0.6)
        axes.scatter(
            measured, predicted, s=30, color=LIGHT["measured"], zorder=3, gid="points-parity"
        )
        scale_latencies(axes, "xy", ends)
        axes.set(xlim=ends, ylim=ends, aspect="equal", title=title)
        axes.set_xlabel("measured (ms)")
        axes.set_ylabel("predicted (ms)")
    return Plot(figure, {"points-parity": list(tooltips)} if tooltips else {})


def plot_parity(
    measured_ns: FloatArray,
    predicted_ns: FloatArray,
    lower_ns: FloatArray,
    upper_ns: FloatArray,
    title: str,
    path: Path,
) -> None:
    """Write the plot of `parity` to a file, in the format that the suffix of `path` names.

    The arrays are parallel, in ns, and not empty.
    """
    save(parity(measured_ns, predicted_ns, lower_ns, upper_ns, title), path)


def progress(data: ReportData) -> Plot | None:
    """Plot the rewards by round, and how many networks each round added and measured.

    Returns:
        The plot, or None if no round has finished.
    """
    rounds = sorted({trial.round for trial in data.trials})
    if not rounds:
        return None
    numbers = np.array(rounds) + 1
    rewarded = [(t.round + 1, t.reward) for t in data.trials if t.reward is not None]
    best = [max((r for n, r in rewarded if n <= number), default=np.nan) for number in numbers]
    evaluated = _first_rounds((t.architecture.id, t.round) for t in data.trials)
    measured = _first_rounds(
        (t.measurement_id, t.round) for t in data.trials if t.measurement_id is not None
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.0), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        x, y = np.array(rewarded, np.float64).reshape(-1, 2).T
        top.scatter(x, y, s=16, color=LIGHT["predicted"], linewidth=0, label="candidates")
        top.plot(numbers, best, "o-", color=LIGHT["front"], markersize=4, label="best so far")
        top.set_ylabel("reward")
        for counts, offset, color, label in (
            (evaluated, -0.2, LIGHT["predicted"], "new candidates"),
            (measured, 0.2, LIGHT["measured"], "measured"),
        ):
            bottom.bar(
                numbers + offset, [counts[r] for r in rounds], 0.38, color=color, label=label
            )
        bottom.set_xlabel("round")
        bottom.set_ylabel("networks")
        for axes in (top, bottom):
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9, borderpad=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="x", visible=False)
    return Plot(figure)


def _latencies_ms(trials: Sequence[Trial]) -> tuple[FloatArray, FloatArray, FloatArray]:
    rows = [
        (t.latency.latency_ns, t.latency.lower_ns, t.latency.upper_ns)
        for t in trials
        if t.latency is not None
    ]
    values = np.array(rows, np.float64).reshape(-1, 3) * MS
    return values[:, 0], values[:, 1], values[:, 2]


def _draw_front(axes: Axes, data: ReportData) -> None:
    """Draw the front by the combined latency as a staircase.

    Each network on the front has a number and, if it is known, the interval of its accuracy.
    """
    stairs, front, noise = data.combined_front(), data.measured_front(), data.noise()
    x, _, _ = _latencies_ms(stairs)
    y = np.array([trial.accuracy for trial in stairs], np.float64)
    axes.step(x, y, where="post", color=LIGHT["front"], linewidth=1.6, label="front")
    x, _, _ = _latencies_ms(front)
    y = np.array([trial.accuracy for trial in front], np.float64)
    if noise is not None:
        half = np.array([noise.half_width(trial) for trial in front], np.float64)
        axes.vlines(x, y - half, y + half, color=LIGHT["front"], linewidth=1, zorder=2)
    draw_numbers(axes, x, y)


def _first_rounds(seen_in: Iterable[tuple[str, int]]) -> Counter[int]:
    """Return how many things each round was the first to see."""
    first: dict[str, int] = {}
    for thing, index in seen_in:
        first.setdefault(thing, index)
    return Counter(first.values())


def _tooltip(trial: Trial) -> str:
    assert trial.accuracy is not None
    assert trial.latency is not None
    source = "measured" if is_measured(trial) else "predicted"
    return (
        f"{trial.architecture.id}, round {trial.round + 1}\n"
        f"accuracy {trial.accuracy:.1%}{_evaluations(trial)}, "
        f"{source} {interval(trial.latency)} ms\n"
        f"{short(trial.architecture)}"
    )


def _evaluations(trial: Trial) -> str:
    count = len(trial.accuracies)
    return f" of {count} evaluations" if count else ""
