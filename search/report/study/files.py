"""A report's data, as CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from search.report.drawing.words import short
from search.report.study.data import ReportData, on_each_target
from search.report.study.results import result_record, study_results
from search.space.counts import counts
from search.study.trial import Trial

_counts = cache(counts)  # searches come back to their networks again and again


def write_report_data(data: ReportData, directory: Path) -> list[str]:
    """`trials.csv`, `results.csv` and `report.json`; returns their names."""
    results = list(map(result_record, study_results(data)))
    trials = (trial_record(trial, data.targets) for trial in data.trials)
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
            {**trial_record(trial, data.targets), "layers": trial.architecture.to_dict()}
            for trial in data.measured_front()
        ],
        "results": results,
        "predictor": dict(data.evaluation.scores) if data.evaluation else None,
    }
    write_json(directory / "report.json", whole)
    return ["trials.csv", "results.csv", "report.json"]


def trial_record(trial: Trial, targets: Sequence[str] = ()) -> dict[str, Any]:
    """Flat. The latency is that of the reward, measured where there is a measurement; of
    several `targets`, as their names are, also on each."""
    size, latency, predicted = _counts(trial.architecture), trial.latency, trial.predicted
    parts = dict(zip(targets, on_each_target(latency) if latency else (), strict=False))
    return {
        "round": trial.round + 1,
        "architecture": trial.architecture.id,
        "blocks": short(trial.architecture),
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
        "accuracy": trial.accuracy,
        "latency_ns": latency and latency.latency_ns,
        "latency_lower_ns": latency and latency.lower_ns,
        "latency_upper_ns": latency and latency.upper_ns,
        "latency_source": latency and latency.source.value,
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
    """Records of the same fields; an empty file where there is none."""
    rows: Sequence[Mapping[str, Any]] = list(records)
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
