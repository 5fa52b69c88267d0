"""The targets of a search: their options, their latencies, one lab of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from latlab.domain.errors import LabError
from latlab.domain.failure import Failure
from search.cli.session import MOST_MS, MOST_WEIGHT, Session, finite
from search.latency.calibration import REFERENCE
from search.latency.lab import Lab
from search.latency.multi_target_lab import Part, SeveralLab
from search.study.settings import StudySettings
from search.study.study import SETTINGS, read_settings

TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="Id or name, repeated for several; by default the first device, one thread.",
    ),
]
TargetLatenciesOption = Annotated[
    list[float] | None,
    typer.Option(
        "--target-latency",
        max=MOST_MS,
        callback=finite,
        help="In ms, for each target; by default MobileNetV2's, as the paper.",
    ),
]
WeightsOption = Annotated[
    list[float] | None,
    typer.Option(
        "--weight",
        max=MOST_WEIGHT,
        callback=finite,
        help="For each of several targets: their mean counts; by default the worst.",
    ),
]


def lab_of(opened: Sequence[Session], settings: StudySettings) -> Lab:
    """Of the one target, or of all together."""
    if len(opened) == 1:
        return opened[0].lab
    parts = [Part(on_target.target.name, on_target.lab) for on_target in opened]
    return SeveralLab(parts, settings.combination(), opened[0].lab.export)


def targets_ns(directory: Path, asked_ms: Sequence[float], opened: Sequence[Session]) -> list[int]:
    """As asked for; else the study's own when it is resumed; else the reference's latencies.

    Raises StudyError, LabError.
    """
    if asked_ms:
        return [round(ms * 1e6) for ms in asked_ms]
    if (directory / SETTINGS).is_file():
        made_with = read_settings(directory)
        if made_with.target_ids() == [on_target.target.id for on_target in opened]:
            return list(made_with.combination().targets_ns)
    return list(map(_reference_ns, opened))


def _reference_ns(opened: Session) -> int:
    [outcome] = opened.lab.measure([REFERENCE])
    if isinstance(outcome, Failure):
        raise LabError(
            f"MobileNetV2 could not be measured on {opened.target.name} ({outcome.message}): "
            "name a --target-latency"
        )
    return outcome.latency.latency_ns
