"""The page that compares studies, its plots as PNG, its data as CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from search.report.comparison import plots
from search.report.comparison.comparison import Comparison, at
from search.report.comparison.curves import QUANTILE, WINDOW, Curve
from search.report.comparison.files import write_comparison_data
from search.report.comparison.significance import in_words
from search.report.drawing import html
from search.report.drawing.arrays import FloatArray
from search.report.drawing.canvas import Plot, save
from search.report.drawing.words import milliseconds, seconds
from search.report.study.data import Result
from search.report.study.results import found, published, results_table

REWARDS_NOTE = (
    f"Of what the strategies asked for, as they were told; at the left the mean of the last "
    f"{WINDOW} samples, which rises where a strategy learns, at the right the best so far."
)
FIGURE_6_NOTE = (
    "Each point is a sample, its latency as its reward was computed from, in multiples of "
    "the target latency T."
)
DIVERSITY_NOTE = (
    "The exponential of Shannon's entropy over the networks on the fronts: n where n kinds "
    "are equally frequent, 1 where all networks have the same block at this place."
)


def write_comparison(data: Comparison, directory: Path) -> Path:
    """Writes `report.html`, the plots as PNG and the data as CSV and JSON into `directory`,
    which is made if need be, and returns the page's path."""
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
    figures = {name: html.figure(plot, name) for name, plot in drawn.items()}
    candidates = {a for study in data.studies for a in study.latest()}
    names = [study.directory.name for study in data.studies]
    box = data.box
    if box is None:
        hypervolume = html.nothing("No candidate has both an accuracy and a latency yet.")
    else:
        reference, ideal = (
            f"{point.accuracy:.1%} and {milliseconds(point.latency_ns)} ms"
            for point in (box.reference, box.ideal)
        )
        hypervolume = figures["hypervolume"] + html.note(
            f"Of the front {_of_what(data)}, as a share of the box from the reference, "
            f"{reference} (the {QUANTILE:.0%} quantile of accuracy and the {1 - QUANTILE:.0%} "
            f"quantile of latency over all trials compared here), to the best of either, "
            f"{ideal}. Lines are medians over seeds, bands reach from the least to the greatest "
            "seed, both as far as all seeds go. Time is that of searching, without pauses."
        )
    beside = ", ".join([*(f"{name}.png" for name in drawn), *written])
    return html.page(
        " · ".join(group.label for group in data.groups),
        f"{len(names)} studies on {data.target}: {', '.join(names)}",
        (
            html.tiles(
                (
                    (str(len(names)), "studies"),
                    (str(len(data.groups)), "groups, by all but the seed"),
                    (str(len(candidates)), "distinct candidates"),
                    (str(len(data.joint_front)), "on the joint front"),
                )
            ),
            html.section("Summary", _summary(data)),
            html.section("Hypervolume of the front", hypervolume),
            html.section("Fronts", figures.get("fronts", "")),
            html.section("Reward over samples", _noted(figures.get("rewards"), REWARDS_NOTE)),
            html.section(
                "Where the rewards look, as the paper's Figure 6",
                _noted(figures.get("figure-6"), FIGURE_6_NOTE),
            ),
            html.section(
                "Diversity of the fronts, block by block",
                _noted(figures.get("diversity"), DIVERSITY_NOTE),
            ),
            html.section(
                "Results, beside published ones",
                results_table(results, data.target, data.accuracy),
            ),
            html.section("Settings in common", html.pairs(_common_settings(data))),
            html.note(f"Beside this page: {beside}."),
        ),
    )


def _summary(data: Comparison) -> str:
    n = data.common_samples
    rows = [
        "<tr><td>"
        f'<i class="swatch" style="background: var(--{plots.color(number)})"></i>'
        f"{escape(group.label)}</td>"
        f"<td>{len(group.studies)}</td>"
        f"<td>{_range(_each(curves, 'samples'), '.0f')}</td>"
        f"<td>{_range(_each(curves, 'measurements'), '.0f')}</td>"
        f"<td>{_time(curves)}</td>"
        f"<td>{_range(at(curves, n), '.3f')}</td>"
        f"<td>{_range(_each(curves, 'best_reward'), '.3f')}</td>"
        f"<td>{sum(of is group for of, _, _ in data.joint_front)}</td></tr>"
        for number, (group, curves) in enumerate(zip(data.groups, data.curves, strict=False))
    ]
    head = (
        "group",
        "seeds",
        "samples",
        "measurements",
        "search time",
        f"hypervolume<br/>at {n} samples",
        "best reward",
        "on the<br/>joint front",
    )
    against = in_words(data.against_random, n)
    return _noted(html.table(head, rows, "summary") if rows else "", against)


def _noted(figure: str | None, note: str) -> str:
    """Nothing where there is no figure."""
    return figure + (note and html.note(note)) if figure else ""


def _of_what(data: Comparison) -> str:
    assert data.box is not None
    return (
        "of measurements alone"
        if data.box.measured
        else "of all networks, measured or only predicted, for not every study has measured some"
    )


def _common_settings(data: Comparison) -> dict[str, str]:
    """What all groups share, their target apart."""
    first, *others = (group.settings for group in data.groups)
    return {
        label: text
        for label, text in first.items()
        if label != "target" and all(of.get(label) == text for of in others)
    }


def _results(data: Comparison) -> list[Result]:
    best = [(group, data.best(group)) for group in data.groups]
    mine = [found(f"{t.architecture.id}, best of {group.label}", t) for group, t in best if t]
    return [*mine, *data.trained, *published(data.zoo)]


def _each(curves: Sequence[Curve], name: str) -> FloatArray:
    """At the end."""
    return np.array([getattr(curve, name)[-1] for curve in curves], np.float64)


def _range(values: FloatArray, form: str) -> str:
    """The median, and the least and the greatest where they differ."""
    low, middle, high = (format(f(values), form) for f in (np.min, np.median, np.max))
    return middle if low == high else f"{middle} <small>{low}–{high}</small>"


def _time(curves: Sequence[Curve]) -> str:
    """The median, where all studies know theirs."""
    times_s = _each(curves, "time_s")
    return seconds(float(np.median(times_s))) if times_s.all() else "–"
