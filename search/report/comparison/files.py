"""The data of a comparison as CSV and JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.report.comparison.comparison import Comparison, at, near_target, samples
from search.report.comparison.curves import Curve
from search.report.comparison.groups import Group
from search.report.study.data import Result
from search.report.study.files import trial_record, write_csv, write_json
from search.report.study.results import result_record
from search.study.study import Study

LONGEST_NAME = 100  # characters


def folder_name(names: Sequence[str]) -> str:
    """Return the name of the folder of a comparison of these studies."""
    joined = "-".join(name.replace("/", "_") for name in names)
    if len(joined) <= LONGEST_NAME:
        return joined
    digest = hashlib.sha256(joined.encode()).hexdigest()[:8]
    return f"{len(names)}-studies-{digest}"


def write_comparison_data(
    data: Comparison, results: Sequence[Result], directory: Path
) -> list[str]:
    """Write a comparison's data as files into a folder, and return the files' names."""
    write_csv(directory / "curves.csv", _curve_records(data))
    write_csv(directory / "samples.csv", _sample_records(data))
    write_csv(directory / "results.csv", map(result_record, results))
    write_json(directory / "comparison.json", _record(data, results))
    return ["curves.csv", "samples.csv", "results.csv", "comparison.json"]


def _curve_records(data: Comparison) -> Iterator[dict[str, Any]]:
    for group, study, curve in _curves(data):
        for index in range(len(curve.samples)):
            yield {
                "group": group.label,
                "study": study.directory.name,
                "seed": study.settings.seed,
                "samples": int(curve.samples[index]),
                "measurements": int(curve.measurements[index]),
                "time_s": round(float(curve.time_s[index]), 3),
                "hypervolume": curve.hypervolume[index],
                "best_reward": curve.best_reward[index],
                "recent_reward": curve.recent_reward[index],
            }


def _curves(data: Comparison) -> Iterator[tuple[Group, Study, Curve]]:
    for group, curves in zip(data.groups, data.curves, strict=False):
        for study, curve in zip(group.studies, curves, strict=True):
            yield group, study, curve


def _sample_records(data: Comparison) -> Iterator[dict[str, Any]]:
    for group in data.groups:
        for study, trial in samples(group):
            yield {
                "group": group.label,
                "study": study.directory.name,
                "target_latency_ns": study.settings.target_ns,
                **trial_record(trial, deployment=data.deployment),
            }


def _record(data: Comparison, results: Sequence[Result]) -> dict[str, Any]:
    box = data.box
    return {
        "target": data.target,
        "hypervolume_of": box
        and {
            "reference_accuracy": box.reference.accuracy,
            "reference_latency_ns": box.reference.latency_ns,
            "ideal_accuracy": box.ideal.accuracy,
            "ideal_latency_ns": box.ideal.latency_ns,
            "measurements_alone": box.measured,
        },
        "groups": [
            {
                "label": group.label,
                "studies": [study.directory.name for study in group.studies],
                "seeds": [study.settings.seed for study in group.studies],
                "settings": group.settings,
                "near_target": near_target(group) if samples(group) else None,
                "hypervolume_at_common_samples": at(curves, data.common_samples).tolist(),
            }
            for group, curves in zip(data.groups, data.curves, strict=False)
        ],
        "common_samples": data.common_samples,
        "against_random": [
            {
                "group": against.group.label,
                "random": against.random.label,
                "share_above": against.share_above,
                "p": against.p,
            }
            for against in data.against_random
        ],
        "joint_front": [
            {
                "group": group.label,
                "study": study.directory.name,
                **trial_record(trial, deployment=data.deployment),
            }
            for group, study, trial in data.joint_front
        ],
        "results": list(map(result_record, results)),
    }
