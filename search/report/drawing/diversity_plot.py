"""The plot of a front's diversity, block by block."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from search.report.drawing.canvas import STYLE, Plot, from_one
from search.report.drawing.diversity import ASPECTS, blocks_at_each_place, effective_number, shares
from search.report.drawing.palette import LIGHT, SHADES
from search.space.architecture import Block
from search.study.trial import Trial

OPERATIONS = {"mb3": "mbconv3", "mb4": "mbconv4", "mb6": "mbconv6"}  # the palette's names


def diversity(trials: Sequence[Trial]) -> Plot | None:
    """Plot the shares of each choice, and the effective number of kinds, at each place.

    Returns:
        The plot, or None if there are no trials.
    """
    places = blocks_at_each_place([trial.architecture for trial in trials])
    if not places:
        return None
    numbers = range(1, len(places) + 1)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 5.4), layout="constrained")
        grid = figure.subplots(2, 3)
        for axes, aspect in zip(grid.flat, ASPECTS, strict=False):
            _draw_shares(axes, places, aspect)
        last = grid[1, 2]
        last.plot(
            numbers, list(map(effective_number, places)), "o-", color=LIGHT["front"], markersize=5
        )
        last.set_title(f"effective number of kinds, of {len(trials)}", pad=20)
        from_one(last)
        for axes in grid.flat:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="x", visible=False)
        for axes in grid[1]:
            axes.set_xlabel("block")
    return Plot(figure)


def _draw_shares(axes: Axes, places: Sequence[Sequence[Block]], aspect: str) -> None:
    """Draw the shares of an aspect's choices as stacked bars."""
    choice_of = ASPECTS[aspect]
    choices = sorted({choice_of(block) for blocks in places for block in blocks}, key=_rank)
    numbers = range(1, len(places) + 1)
    below = [0.0] * len(places)
    for index, choice in enumerate(choices):
        heights = [shares(blocks, choice_of).get(choice, 0.0) for blocks in places]
        color = _color(aspect, choice, index, len(choices))
        axes.bar(numbers, heights, 0.72, bottom=below, color=LIGHT[color], label=choice)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_title(aspect, pad=20)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(choices),
        fontsize=8,
        borderpad=0.2,
        borderaxespad=0.1,
        handlelength=0.9,
        handletextpad=0.4,
        columnspacing=0.9,
    )


def _rank(choice: str) -> tuple[bool, str]:
    return choice != "none", choice


def _color(aspect: str, choice: str, index: int, count: int) -> str:
    if aspect == "operation":
        return OPERATIONS.get(choice, choice)
    if count == 1:
        return SHADES[-3]
    return SHADES[round(index * (len(SHADES) - 1) / (count - 1))]
