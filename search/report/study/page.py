"""The report: one HTML file that needs nothing else, its plots as PNG, its data as CSV and
JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from latlab.domain.estimate import LatencyEstimate
from search.report.drawing import html
from search.report.drawing.blocks import draw
from search.report.drawing.canvas import Plot, save
from search.report.drawing.diversity_plot import diversity
from search.report.drawing.words import interval, milliseconds, short
from search.report.study import plots
from search.report.study.data import (
    PredictorEvaluation,
    ReportData,
    is_measured,
    on_each_target,
    reward_of,
)
from search.report.study.files import write_report_data
from search.report.study.results import results_table, study_results
from search.study.trial import Trial


def write_report(data: ReportData, directory: Path) -> Path:
    """Writes `report.html`, the plots as PNG and the data as CSV and JSON into `directory`,
    which is made if need be, and returns the page's path. What a study does not have yet
    (trials, measurements), the page says."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        "accuracy-latency": plots.accuracy_latency(data),
        "held-out": _held_out(data.evaluation),
        "search-parity": _search_parity(data),
        "progress": plots.progress(data),
        "diversity": diversity(data.measured_front()),
    }
    drawn = {name: plot for name, plot in figures.items() if plot is not None}
    for name, plot in drawn.items():
        save(plot, directory / f"{name}.png")
    written = write_report_data(data, directory)
    path = directory / "report.html"
    path.write_text(_page(data, drawn, written), encoding="utf-8")
    return path


def _page(data: ReportData, drawn: Mapping[str, Plot], written: Sequence[str]) -> str:
    figures = {name: html.figure(plot, name) for name, plot in drawn.items()}
    parity = figures.get("held-out", "") + figures.get("search-parity", "")
    beside = ", ".join([*(f"{name}.png" for name in drawn), *written])
    return html.page(
        data.study,
        f"{data.target}, target latency {milliseconds(data.target_latency_ns)} ms",
        (
            _tiles(data),
            html.section(
                "Accuracy and latency",
                figures.get("accuracy-latency", html.nothing("No candidate has a latency yet.")),
            ),
            html.section("The front, from measurements alone", _front(data)),
            html.section(
                "Results, beside published ones",
                results_table(study_results(data), data.target, data.accuracy),
            ),
            html.section("Diversity of the front, block by block", figures.get("diversity", "")),
            html.section(
                "Predicted against measured",
                f'<div class="pair">{parity}</div>{_scores(data.evaluation)}' if parity else "",
            ),
            html.section("Progress", figures.get("progress", "")),
            html.section("Failures", _failures(data.latest())),
            html.section("Settings", html.pairs(data.settings)),
            html.note(f"Beside this page: {beside}."),
        ),
    )


def _tiles(data: ReportData) -> str:
    latest = data.latest()
    rewards = [trial.reward for trial in latest if trial.reward is not None]
    predicted = sum(t.latency is not None and not is_measured(t) for t in latest)
    return html.tiles(
        (
            (str(len(latest)), "candidates"),
            (str(data.measurements), _share("measured", data.measurements, len(latest))),
            (str(predicted), _share("only predicted", predicted, len(latest))),
            (str(data.calibration), "measured before, to calibrate"),
            (str(len(data.measured_front())), "on the front"),
            (f"{max(rewards):.3f}" if rewards else "–", "best reward"),
        )
    )


def _front(data: ReportData) -> str:
    front = data.measured_front()
    if not front:
        return html.nothing("No candidate has been measured yet, so there is no front.")
    best = data.best()
    rows = []
    for number, trial in enumerate(front, 1):
        architecture, latency = trial.architecture, trial.latency
        assert latency is not None
        assert trial.accuracy is not None
        star = ' <span class="best">best reward</span>' if trial is best else ""
        rows.append(
            f'<tbody><tr><td class="rank">{number}</td><td>{trial.accuracy:.1%}</td>'
            f"{''.join(map(_latency, (latency, *on_each_target(latency))))}"
            f"<td>{reward_of(trial):.3f}{star}</td>"
            f"{html.count_cells(architecture)}"
            f"<td><code>{architecture.id}</code></td></tr>"
            f'<tr class="drawing"><td colspan="{7 + len(data.targets)}">{draw(architecture)}'
            "</td></tr></tbody>"
        )
    return html.table(
        (
            *("", "accuracy", "latency (ms)"),
            *(f"on {escape(name)} (ms)" for name in data.targets),
            *("reward", "params (M)", "MAdds (M)", "architecture"),
        ),
        rows,
        "front",
    ) + html.note(
        "A box is a layer, wider with more channels; its colour is the operation. An arc is an "
        "identity skip, a dashed arc a pool skip, a dot squeeze-and-excitation."
    )


def _latency(latency: LatencyEstimate) -> str:
    return (
        f"<td>{milliseconds(latency.latency_ns)} <small>{milliseconds(latency.lower_ns)}–"
        f"{milliseconds(latency.upper_ns)}</small></td>"
    )


def _held_out(evaluation: PredictorEvaluation | None) -> Plot | None:
    if evaluation is None or not len(evaluation.measured_ns):
        return None
    return plots.parity(
        evaluation.measured_ns,
        evaluation.predicted_ns,
        evaluation.lower_ns,
        evaluation.upper_ns,
        "Networks held out of the predictor",
    )


def _search_parity(data: ReportData) -> Plot | None:
    """What was believed of each candidate before it was measured."""
    pairs = [
        (trial, trial.latency, trial.predicted)
        for trial in data.latest()
        if is_measured(trial) and trial.latency is not None and trial.predicted is not None
    ]
    if not pairs:
        return None
    measured, predicted, lower, upper = np.array(
        [(m.latency_ns, p.latency_ns, p.lower_ns, p.upper_ns) for _, m, p in pairs], np.float64
    ).T
    return plots.parity(
        measured,
        predicted,
        lower,
        upper,
        "Candidates, as predicted before",
        [
            f"{trial.architecture.id}\nmeasured {interval(m)} ms\npredicted {interval(p)} ms\n"
            f"{short(trial.architecture)}"
            for trial, m, p in pairs
        ],
    )


def _scores(evaluation: PredictorEvaluation | None) -> str:
    if evaluation is None:
        return ""
    scores = dict(evaluation.scores)
    if evaluation.repeat_noise is not None:
        scores["repeat noise"] = f"{evaluation.repeat_noise:.1%}"
    return html.pairs(scores)


def _failures(trials: Sequence[Trial]) -> str:
    rows = [
        f"<tr><td>{trial.round + 1}</td><td><code>{trial.architecture.id}</code></td>"
        f"<td>{'accuracy' if trial.accuracy is None else 'latency'}</td>"
        f"<td>{escape(trial.failure)}</td></tr>"
        for trial in trials
        if trial.failure is not None
    ]
    return html.table(("round", "architecture", "of its", "why"), rows, "failures") if rows else ""


def _share(label: str, part: int, whole: int) -> str:
    return f"{label} ({part / whole:.0%})" if whole else label
