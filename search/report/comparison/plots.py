"""The plots of a comparison, with a colour for each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from search.report.comparison.comparison import Comparison, near_target, relative_latencies, samples
from search.report.comparison.curves import WINDOW, Curve, band
from search.report.comparison.groups import Group
from search.report.drawing.arrays import FloatArray
from search.report.drawing.canvas import (
    MS,
    STYLE,
    Plot,
    draw_target,
    from_one,
    new_figure,
    scale_latencies,
)
from search.report.drawing.diversity import ASPECTS, blocks_at_each_place, effective_number
from search.report.drawing.palette import LIGHT, SERIES
from search.report.drawing.words import interval, short

DASHES = ("-", "--", ":")  # the second and third are used once all colours are taken
MAX_DRAWN = 1500  # samples drawn in a panel, evenly spread over all
TIME_UNITS = ((7200, 3600, "h"), (120, 60, "min"), (0, 1, "s"))  # least s, s a unit, name

CurveValues = Callable[[Curve], FloatArray]


def color(number: int) -> str:
    """Return the palette's name of the colour of the group with this number."""
    return SERIES[number % len(SERIES)]


def hypervolumes(data: Comparison) -> Plot | None:
    """Plot hypervolumes over samples, and over measurements and search time if known."""
    if data.box is None:
        return None
    every = [each for curves in data.curves for each in curves]
    longest_s = max(each.time_s[-1] for each in every)
    unit_s, unit = next((s, name) for least_s, s, name in TIME_UNITS if longest_s >= least_s)
    panels: list[tuple[str, CurveValues]] = [("samples", lambda c: c.samples)]
    if data.box.measured:
        panels.append(("measurements", lambda c: c.measurements))
    if all(each.time_s[-1] > 0 for each in every):
        panels.append((f"search time ({unit})", lambda c: c.time_s / unit_s))
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 4.3), layout="constrained")
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, x) in zip(row, panels, strict=True):
            _draw_bands(axes, data, x, lambda c: c.hypervolume)
            axes.set_xlabel(name)
        row[0].set_ylabel("hypervolume (share of the box)")
        _legend(figure, row[0])
    return Plot(figure)


def rewards(data: Comparison) -> Plot | None:
    """Plot the recent and the best reward over samples, with a row for each kind of reward.

    Only rewards that several groups share are drawn, such as those of PPO and random search.

    Returns:
        The plot, or None if no groups share a reward.
    """
    by_reward: dict[tuple[str, str], list[int]] = {}
    for number, group in enumerate(data.groups):
        key = group.settings["reward"], group.settings["target latency"]
        by_reward.setdefault(key, []).append(number)
    compared = {key: numbers for key, numbers in by_reward.items() if len(numbers) > 1}
    if not compared or data.box is None:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 0.4 + 3.3 * len(compared)), layout="constrained")
        rows = figure.subplots(len(compared), 2, squeeze=False)
        for row, ((reward, target), numbers) in zip(rows, compared.items(), strict=True):
            _draw_bands(row[0], data, lambda c: c.samples, lambda c: c.recent_reward, numbers)
            _draw_bands(row[1], data, lambda c: c.samples, lambda c: c.best_reward, numbers)
            row[0].set_title(f"mean of the last {WINDOW} samples")
            row[1].set_title("best so far")
            row[0].set_ylabel(f"reward ({reward}, T = {target})")
            row[1].legend(loc="lower right", fontsize=9)
            for axes in row:
                axes.set_xlabel("samples")
    return Plot(figure)


def fronts(data: Comparison) -> Plot | None:
    """Plot the front of every study, and the target latency if all studies have the same."""
    if data.box is None:
        return None
    tooltips = {}
    with rc_context(STYLE):
        figure, axes = new_figure((9.4, 4.8))
        drawn_ms: list[float] = []
        for number, group in enumerate(data.groups):
            line_color = LIGHT[color(number)]
            for index, study in enumerate(group.studies):
                front = data.front(study)
                x = [t.latency.latency_ns * MS for t in front if t.latency is not None]
                y = [t.accuracy for t in front if t.accuracy is not None]
                drawn_ms += x
                axes.step(
                    x,
                    y,
                    where="post",
                    linewidth=1.3,
                    alpha=0.75,
                    color=line_color,
                    linestyle=_dashes(number),
                )
                gid = f"points-{number}-{index}"
                axes.scatter(x, y, s=20, color=line_color, linewidth=0, zorder=3, gid=gid)
                tooltips[gid] = [
                    f"{study.directory.name}: {t.architecture.id}\naccuracy {t.accuracy:.1%}, "
                    f"{t.latency.source.value} {interval(t.latency)} ms\n{short(t.architecture)}"
                    for t in front
                    if t.latency is not None
                ]
            axes.plot([], [], color=line_color, linestyle=_dashes(number), label=_with_seeds(group))
        if data.target_ns is not None:
            draw_target(axes, data.target_ns)
            drawn_ms.append(data.target_ns * MS)
        scale_latencies(axes, "x", drawn_ms)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.set_xlabel("latency (ms)")
        axes.set_ylabel("accuracy")
        _legend(figure, axes)
    return Plot(figure, tooltips)


def by_reward(data: Comparison) -> Plot | None:
    """Plot the samples of each group in its own panel, as in the MnasNet paper's Figure 6.

    Returns:
        The plot, or None if all groups have the same reward.
    """
    if data.box is None or len({group.settings["reward"] for group in data.groups}) < 2:
        return None
    groups = [(n, group) for n, group in enumerate(data.groups) if len(relative_latencies(group))]
    columns = 2 if len(groups) in (2, 4) else 3
    rows = -(-len(groups) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 0.3 + 3.2 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, (number, group) in zip(grid.flat, groups, strict=False):
            ratios = relative_latencies(group)
            accuracies = np.array([trial.accuracy for _, trial in samples(group)], np.float64)
            step = -(-len(ratios) // MAX_DRAWN)
            axes.scatter(
                ratios[::step],
                accuracies[::step],
                s=9,
                color=LIGHT[color(number)],
                alpha=0.35,
                linewidth=0,
            )
            axes.axvline(1, color=LIGHT["target"], linestyle=(0, (5, 4)), linewidth=1.4)
            axes.set_title(f"{group.label}\n{near_target(group):.0%} within ±10 % of T")
            axes.set_xlabel("latency / T")
            axes.xaxis.set_tick_params(labelbottom=True)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy")
        scale_latencies(grid[0, 0], "x", np.concatenate([relative_latencies(g) for _, g in groups]))
    return Plot(figure)


def diversity(data: Comparison) -> Plot | None:
    """Plot the effective number of kinds of blocks on each group's fronts at each place."""
    networks = [data.front_networks(group) for group in data.groups]
    if not any(networks):
        return None
    panels: list[tuple[str, Callable[..., object]]] = [
        ("whole blocks", lambda block: block),
        ("operations alone", ASPECTS["operation"]),
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 3.5), layout="constrained")
        row = figure.subplots(1, len(panels))
        for axes, (title, aspect) in zip(row, panels, strict=True):
            for number, (group, each) in enumerate(zip(data.groups, networks, strict=True)):
                places = blocks_at_each_place(each)
                axes.plot(
                    range(1, len(places) + 1),
                    [effective_number(map(aspect, blocks)) for blocks in places],
                    marker="o",
                    markersize=5,
                    color=LIGHT[color(number)],
                    linestyle=_dashes(number),
                    label=f"{group.label} ({len(each)} networks)",
                )
            axes.set(title=title, xlabel="block")
            from_one(axes)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        row[0].set_ylabel("effective number of kinds")
        _legend(figure, row[0])
    return Plot(figure)


def _draw_bands(
    axes: Axes,
    data: Comparison,
    x: CurveValues,
    y: CurveValues,
    numbers: Sequence[int] | None = None,
) -> None:
    """Draw the median and the range over seeds for the groups with these numbers, or for all."""
    for number in range(len(data.groups)) if numbers is None else numbers:
        curves = data.curves[number]
        drawn = band(list(map(x, curves)), list(map(y, curves)))
        if drawn is None:
            continue
        line_color = LIGHT[color(number)]
        axes.plot(
            drawn.x,
            drawn.median,
            drawstyle="steps-post",
            color=line_color,
            linestyle=_dashes(number),
            linewidth=1.8,
            label=_with_seeds(data.groups[number]),
        )
        axes.fill_between(
            drawn.x, drawn.low, drawn.high, step="post", color=line_color, alpha=0.16, linewidth=0
        )


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=9)


def _dashes(number: int) -> str:
    return DASHES[number // len(SERIES) % len(DASHES)]


def _with_seeds(group: Group) -> str:
    n = len(group.studies)
    return group.label if n == 1 else f"{group.label} ({n} seeds)"
