"""The table of results in the paper's form: what was found beside what is published."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from latlab.common.files import read_regular
from latlab.domain.estimate import LatencyEstimate
from search.report.drawing.words import milliseconds
from search.report.study.data import ReportData, Result, ZooRow
from search.space.architecture import Architecture, ArchitectureError
from search.space.counts import counts
from search.space.zoo import PUBLISHED
from search.study.document import estimate_from_document
from search.study.settings import StudyError
from search.study.trial import Trial

MAX_BYTES = 64 << 20
HERE = ("params<br/>M", "MAdds<br/>M", "accuracy<br/>", "latency<br/>ms")
AS_PUBLISHED = ("params<br/>M", "MAdds<br/>M", "top-1<br/>", "top-5<br/>", "Pixel 1<br/>ms")


def study_results(data: ReportData) -> list[Result]:
    """The study's best, what was trained in full of it, and the published networks."""
    best = data.best()
    mine = [found(f"{best.architecture.id}, best reward", best)] if best else []
    return [*mine, *data.trained, *published(data.zoo)]


def found(model: str, trial: Trial) -> Result:
    size = counts(trial.architecture)
    return Result(model, True, size, trial.accuracy, trial.latency)


def trained(directory: Path) -> list[Result]:
    """What `latlab train` made of a study's best, where it did. Raises StudyError."""
    path = directory / "trained" / "results.json"
    try:
        finalists: list[dict[str, Any]] = json.loads(read_regular(path, MAX_BYTES))["results"]
        for of in finalists:
            if not isinstance(of["accuracy"], float | int | None):
                raise TypeError(f"the accuracy is {of['accuracy']!r}")
        return [
            Result(
                f"{of['architecture_id']}, trained, {of['precision']}",
                True,
                counts(Architecture.from_dict(of["architecture"])),
                of["accuracy"],
                estimate_from_document(of["latency"]),
            )
            for of in finalists
        ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, RecursionError, ArchitectureError) as error:
        raise StudyError(f"{path} is damaged ({error!r}): run `latlab train` again") from error


def published(zoo: Iterable[ZooRow]) -> list[Result]:
    """Every published network; those of the zoo also as they are here."""
    rows = {row.name: row for row in zoo}
    results = {result.name: result for result in PUBLISHED}
    return [
        Result(
            name,
            name not in results or results[name].searched,  # the others of the zoo are MnasNet's
            counts(rows[name].architecture) if name in rows else None,
            latency=rows[name].latency if name in rows else None,
            published=results.get(name),
        )
        for name in dict.fromkeys([*results, *rows])
    ]


def results_table(results: Iterable[Result], target: str, accuracy: str) -> str:
    """accuracy: what the accuracies here are of."""
    head = (
        '<thead><tr><th colspan="2"></th>'
        f'<th colspan="{len(HERE)}" class="part">here</th>'
        f'<th colspan="{len(AS_PUBLISHED)}" class="part">as published</th></tr>'
        "<tr><th>model</th><th>type</th>"
        + "".join(f"<th>{label}</th>" for label in (*HERE, *AS_PUBLISHED))
        + "</tr></thead>"
    )
    rows = "".join(map(_row, results))
    return (
        f'<div class="scroll"><table class="results">{head}<tbody>{rows}</tbody></table></div>'
        f'<p class="note">Here: latency on {escape(target)}, accuracy of {escape(accuracy)} (of '
        "networks marked trained after training in full), sizes as counted. As published (Tan et "
        "al. 2019): accuracy on ImageNet, latency on one big core of a Pixel 1. Another task and "
        "another device: the two halves do not compare.</p>"
    )


def result_record(result: Result) -> dict[str, Any]:
    """Flat, for CSV and JSON."""
    size, latency, known = result.size, result.latency, result.published
    return {
        "model": result.model,
        "type": _kind(result),
        "parameters": size and size.parameters,
        "multiply_adds": size and size.multiply_adds,
        "accuracy": result.accuracy,
        "latency_ns": latency and latency.latency_ns,
        "latency_lower_ns": latency and latency.lower_ns,
        "latency_upper_ns": latency and latency.upper_ns,
        "latency_source": latency and latency.source.value,
        "published_parameters_m": known and known.parameters_m,
        "published_multiply_adds_m": known and known.multiply_adds_m,
        "published_top1": known and known.top1,
        "published_top5": known and known.top5,
        "published_pixel1_ms": known and known.pixel1_ms,
    }


def _row(result: Result) -> str:
    size, latency, known = result.size, result.latency, result.published
    model, *details = result.model.split(", ", 1)
    cells = (
        "<br/>".join([escape(model), *(f"<small>{escape(detail)}</small>" for detail in details)]),
        _kind(result),
        f"{size.parameters / 1e6:.2f}" if size else "",
        f"{size.multiply_adds / 1e6:.0f}" if size else "",
        "" if result.accuracy is None else f"{result.accuracy:.1%}",
        _latency(latency) if latency else "",
        f"{known.parameters_m:.1f}" if known else "",
        f"{known.multiply_adds_m:.0f}" if known and known.multiply_adds_m else "",
        f"{known.top1:.1%}" if known else "",
        f"{known.top5:.1%}" if known and known.top5 else "",
        f"{known.pixel1_ms}" if known else "",
    )
    return "<tr>" + "".join(f"<td>{cell or '–'}</td>" for cell in cells) + "</tr>"


def _latency(of: LatencyEstimate) -> str:
    bounds = f"{milliseconds(of.lower_ns)}–{milliseconds(of.upper_ns)}"
    return f"{milliseconds(of.latency_ns)}<br/><small>{bounds}, {of.source.value}</small>"


def _kind(result: Result) -> str:
    return "auto" if result.searched else "manual"
