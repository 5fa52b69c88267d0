"""The targets of a search and the latencies that are wanted there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from latlab.domain.errors import LabError
from latlab.domain.failure import Failure
from search.cli.session import Session
from search.latency.calibration import REFERENCE
from search.study.settings import SearchTarget, check_targets
from search.study.study import SETTINGS, read_settings


def search_targets(
    folder: Path,
    latencies_ms: Sequence[float],
    weights: Sequence[float],
    opened: Sequence[Session],
    reference_ns: Callable[[Session], int],
) -> tuple[SearchTarget, ...]:
    """Return the targets of a search.

    Args:
        folder: The study's folder, which need not exist yet.
        latencies_ms: Wanted latency on each target. Without them a resumed study keeps its own,
            and a new one takes the reference network's.
        weights: Weight of each target, or none.
        opened: A session for each target.
        reference_ns: Returns the latency of the reference network on a target. It may take
            minutes, so everything else is checked first.

    Raises:
        StudyError: The study's settings cannot be read.
        LabError: The reference network cannot be measured.
        ValueError: A latency or a weight is missing or out of its range.
    """
    _check_count("target latency", latencies_ms, opened)
    _check_count("weight", weights, opened)
    ids = [on_target.target.id for on_target in opened]
    latencies_ns = [round(ms * 1e6) for ms in latencies_ms]
    given_weights: Sequence[float | None] = weights or [None] * len(ids)
    check_targets([SearchTarget(id_, 1, w) for id_, w in zip(ids, given_weights, strict=True)])
    if not latencies_ns and (folder / SETTINGS).is_file():
        made_with = read_settings(folder)
        if made_with.target_ids == ids:
            latencies_ns = [target.latency_ns for target in made_with.targets]
    return tuple(
        SearchTarget(*values)
        for values in zip(
            ids,
            latencies_ns or map(reference_ns, opened),
            given_weights,
            strict=True,
        )
    )


def _check_count(name: str, values: Sequence[float], opened: Sequence[Session]) -> None:
    if values and len(values) != len(opened):
        raise ValueError(
            f"give a {name} for each of the {len(opened)} targets, in their order, not "
            f"{len(values)}"
        )


def measured_reference_ns(opened: Session) -> int:
    """Return the latency of the reference network. Raises LabError if it cannot be measured."""
    [outcome] = opened.lab.measure([REFERENCE])
    if isinstance(outcome, Failure):
        raise LabError(
            f"MobileNetV2 could not be measured on {opened.target.name} ({outcome.message}): "
            "give a --target-latency"
        )
    return outcome.latency.latency_ns
