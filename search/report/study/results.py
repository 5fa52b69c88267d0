"""The table of results in the form of the MnasNet paper, beside published results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from latlab.common.files import read_regular
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.precision import Precision
from search.report.drawing.html import render
from search.report.study.data import ReportData, Result, ZooRow
from search.space.architecture import Architecture, ArchitectureError
from search.space.counts import counts
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.zoo import NAMES, PUBLISHED
from search.study.document import estimate_from_document
from search.study.settings import StudyError
from search.study.trial import Trial

MAX_BYTES = 64 << 20
RESULTS = {result.name: result for result in PUBLISHED}


def study_results(data: ReportData) -> list[Result]:
    """Return the rows for the study's best network, those trained in full, and published ones."""
    best = data.best()
    shape = data.deployment
    best_results = [found(f"{best.architecture.id}, best reward", best, shape)] if best else []
    return [*best_results, *data.trained, *published(data.zoo, shape, data.trained)]


def found(model: str, trial: Trial, deployment: Deployment = DEFAULT_DEPLOYMENT) -> Result:
    """Return the row of the results table for a network that a search found."""
    size = counts(trial.architecture, deployment=deployment)
    return Result(model, True, size, trial.accuracy, trial.latency)


def trained(directory: Path) -> list[Result]:
    """Return the results that `latlab train` wrote into a study's folder, if it did.

    Raises:
        StudyError: The file with the results cannot be read.
    """
    path = directory / "trained" / "results.json"
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        verdicts = {
            (each["rival"], each["precision"]): str(each["sentence"])
            for each in document.get("verdicts", [])
        }
        return [_trained(finalist, verdicts) for finalist in document["results"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, RecursionError, ArchitectureError) as error:
        raise StudyError(f"{path} is damaged ({error!r}): run `latlab train` again") from error


def _trained(finalist: dict[str, Any], verdicts: Mapping[tuple[str, str], str]) -> Result:
    """Return the row of a trained network, given as JSON and with the verdicts by their rivals.

    Raises:
        LookupError: A field is missing.
        TypeError: A field is of another type.
        ValueError: A field has another value.
        ArchitectureError: There is no such network.
    """
    if not isinstance(finalist["accuracy"], float | int | None):
        raise TypeError(f"an accuracy is no number: {finalist['accuracy']!r}")
    architecture = Architecture.from_dict(finalist["architecture"])
    name = NAMES.get(architecture, finalist["architecture_id"])
    precision = Precision(finalist["precision"])
    return Result(
        f"{name}, trained, {precision.value}",
        _is_searched(name),
        counts(architecture),
        finalist["accuracy"],
        estimate_from_document(finalist["latency"]),
        precision=precision,
        verdict=verdicts.get((name, precision.value), ""),
    )


def _is_searched(name: str) -> bool:
    """Return whether a search found the network; all that are not published here are MnasNet's."""
    return name not in RESULTS or RESULTS[name].searched


def published(
    zoo: Iterable[ZooRow],
    deployment: Deployment = DEFAULT_DEPLOYMENT,
    trained_here: Iterable[Result] = (),
) -> list[Result]:
    """Return the rows for all published networks.

    Args:
        zoo: The networks that can be built, which have size and latency too.
        deployment: The form in which they are counted.
        trained_here: Networks trained in full. Those of the zoo lend it their accuracies.
    """
    rows = {row.name: row for row in zoo}
    accuracies = {row.name: row.accuracy for row in trained_here if row.precision is Precision.FP32}
    return [
        Result(
            name,
            _is_searched(name),
            counts(rows[name].architecture, deployment=deployment) if name in rows else None,
            accuracies.get(name),
            rows[name].latency if name in rows else None,
            published=RESULTS.get(name),
        )
        for name in dict.fromkeys([*RESULTS, *rows])
    ]


def results_table(results: Iterable[Result], target: str, accuracy: str) -> Markup:
    """Return the table of results as HTML.

    Args:
        accuracy: The source of the accuracies, as in "the proxy task on digits".
    """
    return render("results.html", results=list(results), target=target, accuracy=accuracy)


def result_record(result: Result) -> dict[str, Any]:
    """Return a row of the results table as a flat record for CSV and JSON."""
    size, latency, known = result.size, result.latency, result.published
    return {
        "model": result.model,
        "type": result.kind,
        "parameters": size and size.parameters,
        "multiply_adds": size and size.multiply_adds,
        "accuracy": result.accuracy,
        "latency_ns": latency and latency.latency_ns,
        "latency_lower_ns": latency and latency.lower_ns,
        "latency_upper_ns": latency and latency.upper_ns,
        "latency_source": latency and latency.source.value,
        **raw_record(latency),
        "published_parameters_m": known and known.parameters_m,
        "published_multiply_adds_m": known and known.multiply_adds_m,
        "published_top1": known and known.top1,
        "published_top5": known and known.top5,
        "published_pixel1_ms": known and known.pixel1_ms,
    }


def raw_record(latency: LatencyEstimate | None) -> dict[str, int | None]:
    """Return the quantiles of all timed runs as fields of a record; None if there are none."""
    names = ("median_ns", "p90_ns", "p99_ns", "clean_visits", "disturbed_visits")
    raw = latency.raw if latency else None
    return {name: None if raw is None else getattr(raw, name) for name in names}
