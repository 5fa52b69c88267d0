"""The page that compares studies, its plots as PNG and its data as CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.report.comparison import plots
from search.report.comparison.comparison import Comparison, at
from search.report.comparison.curves import WINDOW, Curve
from search.report.comparison.files import write_comparison_data
from search.report.comparison.groups import Group
from search.report.comparison.significance import in_words
from search.report.drawing.arrays import FloatArray
from search.report.drawing.canvas import Plot, save
from search.report.drawing.html import render
from search.report.drawing.svg import inline_svg
from search.report.drawing.words import seconds
from search.report.study.data import Result, exceeds
from search.report.study.results import found, published
from search.study.trial import Trial

Range = tuple[str, str, str]  # lowest, median, highest


@dataclass(frozen=True)
class SummaryRow:
    """A group's row in the summary: figures at the end of its studies, and `hypervolume`."""

    color: str
    label: str
    seeds: int
    samples: Range
    measurements: Range
    search_time: str
    hypervolume: Range
    best_reward: Range
    on_joint_front: int


def write_comparison(data: Comparison, directory: Path) -> Path:
    """Write the comparison into a folder, which is made if need be.

    Returns:
        The path of `report.html`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        "hypervolume": plots.hypervolumes(data),
        "fronts": plots.fronts(data),
        "rewards": plots.rewards(data),
        "figure-6": plots.by_reward(data),
        "diversity": plots.diversity(data),
    }
    drawn = {name: plot for name, plot in figures.items() if plot is not None}
    for name, plot in drawn.items():
        save(plot, directory / f"{name}.png")
    results = _results(data)
    written = write_comparison_data(data, results, directory)
    path = directory / "report.html"
    path.write_text(_page(data, drawn, results, written), encoding="utf-8")
    return path


def _page(
    data: Comparison, drawn: Mapping[str, Plot], results: Sequence[Result], written: Sequence[str]
) -> str:
    return render(
        "comparison.html",
        title=" · ".join(group.label for group in data.groups),
        data=data,
        figures={name: inline_svg(plot, name) for name, plot in drawn.items()},
        leader=_leader(data),
        names=[study.directory.name for study in data.studies],
        candidates=len({a for study in data.studies for a in study.latest()}),
        summary=_summary(data),
        significance=in_words(data.against_random, data.common_samples),
        box=data.box,
        window=WINDOW,
        common_settings=_common_settings(data),
        results=results,
        files=[*(f"{name}.png" for name in drawn), *written],
    )


def _leader(data: Comparison) -> tuple[Group, Trial] | None:
    """Return the most accurate network within the target latency, and the group that found it."""
    if (target_ns := data.target_ns) is None:
        return None
    within = [(group, t) for group, _, t in data.joint_front if exceeds(t, target_ns) <= 0]
    return within[-1] if within else None


def _summary(data: Comparison) -> list[SummaryRow]:
    return [
        SummaryRow(
            plots.color(number),
            group.label,
            len(group.studies),
            _range(_last(curves, "samples"), ".0f"),
            _range(_last(curves, "measurements"), ".0f"),
            _search_time(curves),
            _range(at(curves, data.common_samples), ".3f"),
            _range(_last(curves, "best_reward"), ".3f"),
            sum(finder is group for finder, _, _ in data.joint_front),
        )
        for number, (group, curves) in enumerate(zip(data.groups, data.curves, strict=False))
    ]


def _common_settings(data: Comparison) -> dict[str, str]:
    """Return the settings that all groups share, without their target."""
    first, *others = (group.settings for group in data.groups)
    return {
        label: text
        for label, text in first.items()
        if label != "target" and all(settings.get(label) == text for settings in others)
    }


def _results(data: Comparison) -> list[Result]:
    best = [(group, data.best(group)) for group in data.groups]
    own = [
        found(f"{trial.architecture.id}, best of {group.label}", trial, data.deployment)
        for group, trial in best
        if trial
    ]
    return [*own, *data.trained, *published(data.zoo, data.deployment, data.trained)]


def _last(curves: Sequence[Curve], name: str) -> FloatArray:
    return np.array([getattr(curve, name)[-1] for curve in curves], np.float64)


def _range(values: FloatArray, form: str) -> Range:
    low, median, high = (format(f(values), form) for f in (np.min, np.median, np.max))
    return low, median, high


def _search_time(curves: Sequence[Curve]) -> str:
    """Return the median search time; a dash if a study does not know its own."""
    times_s = _last(curves, "time_s")
    return seconds(float(np.median(times_s))) if times_s.all() else "–"
