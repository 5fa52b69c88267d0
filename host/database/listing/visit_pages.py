"""List visits, their samples, and the conditions around them by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, cast, func, select, tuple_
from sqlalchemy import Text as TextType

from host.database import raw
from host.database.jobs import VISIT_COLUMNS, outcome_from_row
from host.database.schema import measurements, visits
from latlab.domain.errors import UnreadableRow
from latlab.domain.measurement import Conditions, Visit
from latlab.domain.records.measurements import VisitSummary

INT64_BYTES = 8
_CONDITIONS = (
    cast(visits.c.conditions_before, TextType).label("conditions_before"),
    cast(visits.c.conditions_after, TextType).label("conditions_after"),
)

ConditionsKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time: from `since_unix_ns` on, before `before_unix_ns`. 0: no bound."""

    since_unix_ns: int = 0
    before_unix_ns: int = 0


def visit_page(
    connection: Connection, measurement_id: str, size: int, behind: int = 0
) -> list[tuple[VisitSummary, int]] | None:
    """Return a page of a measurement's visits in their order, each with its key.

    Args:
        connection: A connection to the database.
        measurement_id: The measurement's id.
        size: The most visits of the page.
        behind: The key of the last visit of the page before; 0 for the first page.

    Returns:
        The visits; None if there is no such measurement.

    Raises:
        UnreadableRow: A visit is damaged.
    """
    job = select(measurements.c.job_id).where(measurements.c.id == measurement_id)
    job_id = connection.execute(job).scalar_one_or_none()
    if job_id is None:
        return None
    statement = (
        select(
            visits.c.id,
            visits.c.run_id,
            visits.c.traced,
            visits.c.warmup_runs,
            visits.c.load_ns,
            visits.c.first_run_ns,
            visits.c.peak_rss_bytes,
            visits.c.planned_bytes,
            func.length(visits.c.wall_ns).label("wall_bytes"),
            cast(visits.c.trace_names, TextType).label("trace_names"),
            *_CONDITIONS,
        )
        .where(visits.c.job_id == job_id, visits.c.wall_ns.is_not(None), visits.c.id > behind)
        .order_by(visits.c.id)
        .limit(size)
    )
    return [(_visit_summary(row), row.id) for row in connection.execute(statement)]


def find_visit(connection: Connection, measurement_id: str, run_id: str) -> Visit | None:
    """Return a visit of a measurement with its samples; None if there is none.

    Raises UnreadableRow.
    """
    statement = (
        select(*VISIT_COLUMNS)
        .join(measurements, measurements.c.job_id == visits.c.job_id)
        .where(measurements.c.id == measurement_id, visits.c.run_id == run_id)
        .where(visits.c.wall_ns.is_not(None))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    outcome = outcome_from_row(row)
    if not isinstance(outcome, Visit):
        raise UnreadableRow(f"visit {run_id} has samples and a failure")
    return outcome


def samples_removed_unix_ns(connection: Connection, measurement_id: str) -> int | None:
    """Return when a measurement's samples were removed; None if they were not."""
    column = measurements.c.samples_removed_unix_ns
    removed: int | None = connection.scalar(
        select(column).where(measurements.c.id == measurement_id)
    )
    return removed


def conditions_page(
    connection: Connection,
    device_serial: str,
    period: Period,
    visits_count: int,
    behind: ConditionsKey | None = None,
) -> Sequence[tuple[list[Conditions], ConditionsKey]]:
    """Return the conditions around a device's visits, the newest first, each with its key.

    Conditions that cannot be read are left out.

    Args:
        connection: A connection to the database.
        device_serial: The device.
        period: When the visits were asked for.
        visits_count: The most visits of the page.
        behind: The key of the last visit of the page before; None for the first page.
    """
    statement = (
        select(visits.c.id, visits.c.asked_unix_ns, *_CONDITIONS)
        .where(visits.c.device_serial == device_serial, visits.c.wall_ns.is_not(None))
        .order_by(visits.c.asked_unix_ns.desc(), visits.c.id.desc())
        .limit(visits_count)
    )
    if period.since_unix_ns:
        statement = statement.where(visits.c.asked_unix_ns >= period.since_unix_ns)
    if period.before_unix_ns:
        statement = statement.where(visits.c.asked_unix_ns < period.before_unix_ns)
    if behind is not None:
        statement = statement.where(tuple_(visits.c.asked_unix_ns, visits.c.id) < behind)
    found = []
    for row in connection.execute(statement):
        readable = []
        for text in (row.conditions_after, row.conditions_before):  # the newest first
            try:
                readable.append(_conditions(row, text))
            except UnreadableRow:
                continue
        found.append((readable, (row.asked_unix_ns, row.id)))
    return found


def _visit_summary(row: Row[Any]) -> VisitSummary:
    with raw.reading(f"visit {row.run_id}"):
        return VisitSummary(
            run_id=row.run_id,
            traced=row.traced,
            runs=row.wall_bytes // INT64_BYTES,
            warmup_runs=row.warmup_runs,
            load_ns=row.load_ns,
            first_run_ns=row.first_run_ns,
            peak_rss_bytes=row.peak_rss_bytes or None,  # older agents sent 0
            planned_bytes=row.planned_bytes,
            before=_conditions(row, row.conditions_before),
            after=_conditions(row, row.conditions_after),
            kernel_names=tuple(map(str, raw.parse(row.trace_names) or ())),
        )


def _conditions(row: Row[Any], text: str | None) -> Conditions:
    with raw.reading(f"the conditions of visit {row.id}"):
        return raw.noun(Conditions, raw.parse(text), ignore_unknown=True)
