"""The data of a report as CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from search.report.drawing.words import short
from search.report.study.data import ReportData
from search.report.study.results import raw_record, result_record, study_results
from search.space.counts import counts
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.study.combined_latency import on_each_target
from search.study.noise import AccuracyNoise, evaluations
from search.study.trial import Trial

_counts = cache(counts)  # a search evaluates many networks again


def write_report_data(data: ReportData, directory: Path) -> list[str]:
    """Write a report's data as files into a folder, and return the files' names."""
    results = list(map(result_record, study_results(data)))
    noise = data.noise()
    trials = [trial_record(trial, data.targets, data.deployment, noise) for trial in data.trials]
    front = data.measured_front()
    write_csv(directory / "trials.csv", trials)
    write_csv(directory / "results.csv", results)
    whole = {
        "study": data.study,
        "target": data.target,
        "target_latency_ns": data.target_latency_ns,
        "settings": dict(data.settings),
        "candidates": len(data.latest()),
        "measurements": data.measurements,
        "calibration": data.calibration,
        "front": [
            {
                **trial_record(trial, data.targets, data.deployment, noise),
                "accuracies": list(trial.accuracies),
                "within_noise": is_within,
                "quantiles_ns": _quantiles(trial),
                "layers": trial.architecture.to_dict(),
            }
            for trial, is_within in zip(front, data.within_noise(), strict=True)
        ],
        "accuracy_noise": noise and asdict(noise),
        "results": results,
        "statistics": [
            {"round": index + 1, **statistics} for index, statistics in data.statistics.items()
        ],
        "predictor": dict(data.evaluation.scores) if data.evaluation else None,
    }
    write_json(directory / "report.json", whole)
    return ["trials.csv", "results.csv", "report.json"]


def _quantiles(trial: Trial) -> list[dict[str, int] | None]:
    """Return the quantiles of all timed runs on each target; None where they are not known."""
    latencies = on_each_target(trial.latency) if trial.latency else ()
    return [None if each.raw is None else asdict(each.raw) for each in latencies]


def trial_record(
    trial: Trial,
    targets: Sequence[str] = (),
    deployment: Deployment = DEFAULT_DEPLOYMENT,
    noise: AccuracyNoise | None = None,
) -> dict[str, Any]:
    """Return a trial as a flat record.

    The latency is the one that the reward was computed from: the measured one, if there is one.

    Args:
        trial: The trial.
        targets: The names of several targets; the record has the latency on each of them too.
        deployment: The form in which networks are deployed.
        noise: The noise of the study's accuracies, if it is known.
    """
    size = _counts(trial.architecture, deployment=deployment)
    latency, predicted = trial.latency, trial.predicted
    parts = dict(zip(targets, on_each_target(latency) if latency else (), strict=False))
    return {
        "round": trial.round + 1,
        "architecture": trial.architecture.id,
        "blocks": short(trial.architecture),
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
        "accuracy": trial.accuracy,
        "accuracy_standard_error": noise and noise.standard_error(trial),
        "evaluations": None if trial.accuracy is None else evaluations(trial),
        "latency_ns": latency and latency.latency_ns,
        "latency_lower_ns": latency and latency.lower_ns,
        "latency_upper_ns": latency and latency.upper_ns,
        "latency_source": latency and latency.source.value,
        **raw_record(latency),
        **{
            f"latency_ns on {name}": parts[name].latency_ns if name in parts else None
            for name in targets
        },
        "predicted_before_ns": predicted and predicted.latency_ns,
        "reward": trial.reward,
        "measurement_id": trial.measurement_id,
        "device_s": trial.device_s,
        "failure": trial.failure,
    }


def write_csv(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records with the same fields to a CSV file; it is empty without records."""
    rows: Sequence[Mapping[str, Any]] = list(records)
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a value to a file as indented JSON."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
