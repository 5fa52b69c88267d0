"""The report: one HTML file that needs nothing else, and its plots as PNG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from latency_models.estimate import LatencyEstimate
from search.architecture import Architecture
from search.counts import counts
from search.report import plots
from search.report.data import PredictorEvaluation, ReportData, ZooRow, is_measured, on_each_target
from search.report.drawing import draw
from search.report.plots import Plot
from search.report.style import STYLESHEET
from search.report.svg import inline_svg
from search.report.words import interval, milliseconds, short
from search.trial import Trial


def write_report(data: ReportData, directory: Path) -> Path:
    """Writes `report.html` and the plots as PNG into `directory`, which is made if need be,
    and returns the page's path. What a study does not have yet (trials, measurements), the
    page says."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        "accuracy-latency": plots.accuracy_latency(data),
        "held-out": _held_out(data.evaluation),
        "search-parity": _search_parity(data),
        "progress": plots.progress(data),
    }
    drawn = {name: plot for name, plot in figures.items() if plot is not None}
    for name, plot in drawn.items():
        plots.save(plot, directory / f"{name}.png")
    path = directory / "report.html"
    path.write_text(_page(data, drawn), encoding="utf-8")
    return path


def _page(data: ReportData, drawn: Mapping[str, Plot]) -> str:
    figures = {name: _figure(plot, name) for name, plot in drawn.items()}
    parity = figures.get("held-out", "") + figures.get("search-parity", "")
    sections = (
        _section(
            "Accuracy and latency",
            figures.get("accuracy-latency", _nothing("No candidate has a latency yet.")),
        ),
        _section("The front, from measurements alone", _front(data)),
        _section(
            "Predicted against measured",
            f'<div class="pair">{parity}</div>{_scores(data.evaluation)}' if parity else "",
        ),
        _section("Progress", figures.get("progress", "")),
        _section("Published networks", _zoo(data.zoo)),
        _section("Failures", _failures(data.latest())),
        _section("Settings", _pairs(data.settings)),
    )
    title = escape(data.study)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{title} · Latency Lab</title><style>{STYLESHEET}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{escape(data.target)}, target latency "
        f"{milliseconds(data.target_latency_ns)} ms</p></header>"
        f"{_tiles(data)}{''.join(sections)}</main></body></html>\n"
    )


def _tiles(data: ReportData) -> str:
    latest = data.latest()
    rewards = [trial.reward for trial in latest if trial.reward is not None]
    predicted = sum(t.latency is not None and not is_measured(t) for t in latest)
    tiles = (
        (str(len(latest)), "candidates"),
        (str(data.measurements), _share("measured", data.measurements, len(latest))),
        (str(predicted), _share("only predicted", predicted, len(latest))),
        (str(data.calibration), "measured before, to calibrate"),
        (str(len(data.measured_front())), "on the front"),
        (f"{max(rewards):.3f}" if rewards else "–", "best reward"),
    )
    cells = "".join(f"<div><b>{value}</b>{label}</div>" for value, label in tiles)
    return f'<div class="tiles">{cells}</div>'


def _front(data: ReportData) -> str:
    front = data.measured_front()
    if not front:
        return _nothing("No candidate has been measured yet, so there is no front.")
    best = max(front, key=_reward)
    rows = []
    for number, trial in enumerate(front, 1):
        architecture, latency = trial.architecture, trial.latency
        assert latency is not None
        assert trial.accuracy is not None
        star = ' <span class="best">best reward</span>' if trial is best else ""
        rows.append(
            f'<tbody><tr><td class="rank">{number}</td><td>{trial.accuracy:.1%}</td>'
            f"{''.join(map(_latency, (latency, *on_each_target(latency))))}"
            f"<td>{_reward(trial):.3f}{star}</td>"
            f"{_counts(architecture)}"
            f"<td><code>{architecture.id}</code></td></tr>"
            f'<tr class="drawing"><td colspan="{7 + len(data.targets)}">{draw(architecture)}'
            "</td></tr></tbody>"
        )
    return _table(
        (
            *("", "accuracy", "latency (ms)"),
            *(f"on {escape(name)} (ms)" for name in data.targets),
            *("reward", "params (M)", "MAdds (M)", "architecture"),
        ),
        rows,
        "front",
    ) + (
        '<p class="note">A box is a layer, wider with more channels; its colour is the '
        "operation. An arc is an identity skip, a dashed arc a pool skip, a dot "
        "squeeze-and-excitation.</p>"
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
    return _pairs(scores)


def _zoo(rows: Sequence[ZooRow]) -> str:
    if not rows:
        return ""
    cells = (
        f"<tr><td>{escape(row.name)}</td>{_counts(row.architecture)}<td>"
        + (f"{interval(row.latency)} {row.latency.source.value}" if row.latency else "–")
        + "</td></tr>"
        for row in rows
    )
    return _table(("network", "params (M)", "MAdds (M)", "latency (ms)"), cells, "zoo")


def _failures(trials: Sequence[Trial]) -> str:
    rows = [
        f"<tr><td>{trial.round + 1}</td><td><code>{trial.architecture.id}</code></td>"
        f"<td>{'accuracy' if trial.accuracy is None else 'latency'}</td>"
        f"<td>{escape(trial.failure)}</td></tr>"
        for trial in trials
        if trial.failure is not None
    ]
    return _table(("round", "architecture", "of its", "why"), rows, "failures") if rows else ""


def _counts(architecture: Architecture) -> str:
    of = counts(architecture)
    return f"<td>{of.parameters / 1e6:.2f}</td><td>{of.multiply_adds / 1e6:.0f}</td>"


def _pairs(values: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in values.items())
    return f"<dl>{items}</dl>" if items else ""


def _table(head: Sequence[str], rows: Iterable[str], name: str) -> str:
    cells = "".join(f"<th>{label}</th>" for label in head)
    return (
        f'<div class="scroll"><table class="{name}"><thead><tr>{cells}</tr></thead>'
        f"{''.join(rows)}</table></div>"
    )


def _figure(plot: Plot, name: str) -> str:
    return f"<figure>{inline_svg(plot, name, name.replace('-', ' '))}</figure>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _nothing(text: str) -> str:
    return f'<p class="nothing">{text}</p>'


def _share(label: str, part: int, whole: int) -> str:
    return f"{label} ({part / whole:.0%})" if whole else label


def _reward(trial: Trial) -> float:
    return trial.reward if trial.reward is not None else float("-inf")
