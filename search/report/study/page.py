"""The report of one study: one HTML file, its plots as PNG and its data as CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from markupsafe import Markup

from latlab.domain.estimate import (
    Correction,
    Footprint,
    LatencyEstimate,
    RawSamples,
    milliseconds_text,
)
from latlab.domain.measurement import footprint_of
from search.report.drawing.blocks import draw
from search.report.drawing.canvas import Plot, save
from search.report.drawing.diversity_plot import diversity
from search.report.drawing.html import render
from search.report.drawing.svg import inline_svg
from search.report.drawing.words import interval, short
from search.report.study import plots
from search.report.study.data import PredictorEvaluation, ReportData, exceeds
from search.report.study.files import write_report_data
from search.report.study.learning import learning
from search.report.study.measured import described_conditions
from search.report.study.results import study_results
from search.report.study.target_plots import accuracy_on_targets
from search.space.counts import Counts, counts
from search.study.combined_latency import on_each_target
from search.study.trial import Trial, best_by_reward, is_measured


@dataclass(frozen=True)
class OnTarget:
    """A network's latency on one target, and what it costs beside it, where that is known."""

    target: str
    latency: LatencyEstimate
    footprint: Footprint | None

    @property
    def raw(self) -> RawSamples | None:
        """The quantiles of all its timed runs; None in a study of an earlier version."""
        return self.latency.raw


@dataclass(frozen=True)
class FrontRow:
    """A network on the front, as the page shows it.

    Attributes:
        trial: The network's trial.
        size: Its size.
        drawing: Its layers.
        on_targets: Its latency on each target.
        half_width: Half the width of its accuracy's interval of 90 %; None if it is not known.
        is_within_noise: Whether noise explains how much more accurate it is than a faster network
            on the front.
    """

    trial: Trial
    size: Counts
    drawing: Markup
    on_targets: Sequence[OnTarget]
    half_width: float | None = None
    is_within_noise: bool = False


def write_report(data: ReportData, directory: Path) -> Path:
    """Write a study's report into a folder, which is made if need be.

    The page says what the study does not have yet, such as measurements.

    Returns:
        The path of `report.html`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        "accuracy-latency": plots.accuracy_latency(data),
        "targets": accuracy_on_targets(data),
        "held-out": _held_out(data.evaluation),
        "search-parity": _search_parity(data),
        "progress": plots.progress(data),
        "learning": learning(data),
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
    figures = {name: inline_svg(plot, name) for name, plot in drawn.items()}
    if (narrow := plots.accuracy_latency(data, plots.NARROW_INCHES)) is not None:
        figures["accuracy-latency-narrow"] = inline_svg(narrow, "accuracy-latency-narrow")
    latest, best = data.latest(), data.best()
    front = _front(data)
    return render(
        "study.html",
        title=data.study,
        data=data,
        figures=figures,
        front=front,
        winner=next((row for row in front if row.trial is best), None),
        **_summary(data, best),
        noise=data.noise(),
        has_quantiles=any(each.raw for row in front for each in row.on_targets),
        corrections=_corrections(front),
        conditions=_conditions(data),
        parity=[figures[name] for name in ("held-out", "search-parity") if name in figures],
        scores=_scores(data.evaluation),
        candidates=len(latest),
        predicted=sum(t.latency is not None and not is_measured(t) for t in latest),
        best_reward=next((trial.reward for trial in best_by_reward(latest, 1)), None),
        results=study_results(data),
        failures=[trial for trial in latest if trial.failure is not None],
        files=[*(f"{name}.png" for name in drawn), *written],
    )


def _summary(data: ReportData, best: Trial | None) -> dict[str, object]:
    """Return how the best network's latency relates to the target, and who keeps to it."""
    if best is None:
        return {"against_target": "", "alternative": None}
    excess = exceeds(best, data.target_latency_ns)
    return {
        "against_target": f"{excess:.0%} above" if excess > 0 else "within",
        "alternative": data.within_target() if excess > 0 else None,
    }


def _front(data: ReportData) -> list[FrontRow]:
    noise, trials = data.noise(), data.measured_front()
    return [
        replace(
            _row(data, trial),
            half_width=None if noise is None else noise.half_width(trial),
            is_within_noise=is_within,
        )
        for trial, is_within in zip(trials, data.within_noise(), strict=True)
    ]


def _row(data: ReportData, trial: Trial) -> FrontRow:
    assert trial.latency is not None
    names = data.targets or (data.target,)
    footprints = {
        name: footprint_of(measurement.visits)
        for name, measurement in zip(names, data.measurements_of(trial), strict=False)
        if measurement is not None
    }
    on_targets = [
        OnTarget(name, latency, footprints.get(name))
        for name, latency in zip(names, on_each_target(trial.latency), strict=True)
    ]
    size = counts(trial.architecture, deployment=data.deployment)
    return FrontRow(trial, size, draw(trial.architecture), on_targets)


def _corrections(front: Sequence[FrontRow]) -> list[str]:
    """Return how the front's latencies were corrected, in words, for each target."""
    by_target: dict[str, set[Correction]] = {}
    for each in (on_target for row in front for on_target in row.on_targets):
        if each.latency.correction is not None:
            by_target.setdefault(each.target, set()).add(each.latency.correction)
    return [
        f"{target}: a memory probe of {milliseconds_text(found.pop().quiet_probe_ns)} ms"
        if len(found) == 1
        else f"{target}: by {len(found)} revisions of the correction, so that small differences"
        " mean nothing; write the report again while the lab runs"
        for target, found in by_target.items()
    ]


def _conditions(data: ReportData) -> list[tuple[str, dict[str, str]]]:
    """Return the conditions on each target, as far as measurements on it are known."""
    columns = zip(*map(data.measurements_of, data.measured_front()), strict=True)
    known = [[each for each in column if each is not None] for column in columns]
    return [
        (target.name, described_conditions(target, measurements))
        for target, measurements in zip(data.devices, known, strict=False)
        if measurements
    ]


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
    """Plot what was predicted for each candidate before it was measured."""
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
        "Candidates, as predicted before their measurement",
        [
            f"{trial.architecture.id}\nmeasured {interval(m)} ms\npredicted {interval(p)} ms\n"
            f"{short(trial.architecture)}"
            for trial, m, p in pairs
        ],
    )


def _scores(evaluation: PredictorEvaluation | None) -> dict[str, str]:
    if evaluation is None:
        return {}
    scores = dict(evaluation.scores)
    if evaluation.repeat_noise is not None:
        scores["repeat noise"] = f"{evaluation.repeat_noise:.1%}"
    return scores
