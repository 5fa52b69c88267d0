"""List stored measurements by page, without their visits.

A page goes on behind the key of the last measurement of the page before, not behind a number of
rows: the last page of a million measurements costs as much as the first.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal_column, select, tuple_

from host.database import summaries as summary_rows
from host.database.measurements import TRUSTED
from host.database.schema import jobs, measurements, summaries
from latlab.domain.errors import UnreadableRow
from latlab.domain.estimate import whole_ns
from latlab.domain.records.measurements import MeasurementOrder, MeasurementSummary

# Of so few jobs, all are looked up and sorted. Among many, one finds those of a target soon by
# going through the index of the order.
FEW_JOBS = 20_000

Key = tuple[float, str]
_LATENCY_ORDERS = (MeasurementOrder.FASTEST, MeasurementOrder.SLOWEST)
_DESCENDING = (MeasurementOrder.NEWEST, MeasurementOrder.SLOWEST)


@dataclass(frozen=True, slots=True)
class MeasurementQuery:
    """Which measurements are listed.

    Attributes:
        target_id: Those of a target; "" for all.
        program_prefix: What the SHA-256 of their programs begins with; "" for all.
        since_unix_ns: From this time on; 0 for all.
        before_unix_ns: Before this time; 0 for all.
        with_untrusted: Also those that are suspect, excluded, or a sentinel's.
        order: Their order.
    """

    target_id: str = ""
    program_prefix: str = ""
    since_unix_ns: int = 0
    before_unix_ns: int = 0
    with_untrusted: bool = False
    order: MeasurementOrder = MeasurementOrder.NEWEST


def measurement_page(
    connection: Connection, query: MeasurementQuery, size: int, behind: Key | None = None
) -> list[tuple[MeasurementSummary, Key]]:
    """Return a page of measurements, each with its key.

    Args:
        connection: A connection to the database.
        query: Which measurements are listed.
        size: The most measurements of the page.
        behind: The key of the last measurement of the page before; None for the first page.
    """
    by_latency = query.order in _LATENCY_ORDERS
    column: ColumnElement[Any] = summaries.c.latency_ns if by_latency else measurements.c.unix_ns
    # SQLite searches an index for each column as it stands in the index alone.
    id_ = summaries.c.measurement_id if by_latency else measurements.c.id
    is_selective = _is_selective(connection, query)
    if is_selective:
        column = column + 0  # no index: the few measurements are sorted
    statement = (
        select(
            measurements,
            jobs.c.target_id,
            jobs.c.program_sha256,
            jobs.c.is_sentinel,
            column.label("key"),
            *summary_rows.COLUMNS,
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .join(summaries, summaries.c.measurement_id == measurements.c.id, isouter=not by_latency)
        .where(*_conditions(query, is_selective))
        .limit(size)
    )
    if by_latency:
        statement = statement.where(column.is_not(None))
    key = tuple_(column, id_)
    if query.order in _DESCENDING:
        statement = statement.order_by(column.desc(), id_.desc())
        beyond = key < behind if behind else None
    else:
        statement = statement.order_by(column, id_)
        beyond = key > behind if behind else None
    if beyond is not None:
        statement = statement.where(beyond)
    return [(_summary(row), (row.key, row.id)) for row in connection.execute(statement)]


def _conditions(query: MeasurementQuery, is_selective: bool) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.target_id:
        # Where it has many jobs, SQLite must not begin with all of them: no index of an expression.
        target_id = jobs.c.target_id if is_selective else jobs.c.target_id.concat("")
        found.append(target_id == query.target_id)
    if query.program_prefix:
        # The SHA-256 is of digits up to f. This is a range of the index, unlike LIKE.
        found.append(jobs.c.program_sha256 >= query.program_prefix)
        found.append(jobs.c.program_sha256 < f"{query.program_prefix}g")
    if query.since_unix_ns:
        found.append(measurements.c.unix_ns >= query.since_unix_ns)
    if query.before_unix_ns:
        found.append(measurements.c.unix_ns < query.before_unix_ns)
    if not query.with_untrusted:
        found.append(TRUSTED)
    return found


def _is_selective(connection: Connection, query: MeasurementQuery) -> bool:
    """Return whether few measurements can meet the conditions about their jobs."""
    if not query.target_id and not query.program_prefix:
        return False
    few: Select[Any] = (
        select(literal_column("1")).select_from(jobs).limit(FEW_JOBS + 1)
    )  # the index alone
    if query.target_id:
        few = few.where(jobs.c.target_id == query.target_id)
    if query.program_prefix:
        few = few.where(jobs.c.program_sha256 >= query.program_prefix)
        few = few.where(jobs.c.program_sha256 < f"{query.program_prefix}g")
    counted = select(func.count()).select_from(few.subquery())
    return int(connection.execute(counted).scalar_one()) <= FEW_JOBS


def _summary(row: Row[Any]) -> MeasurementSummary:
    summary = None
    with contextlib.suppress(UnreadableRow):
        summary = summary_rows.summary_from_row(row)
    return MeasurementSummary(
        id=row.id,
        target_id=row.target_id,
        program_sha256=row.program_sha256,
        unix_ns=row.unix_ns if isinstance(row.unix_ns, int) else 0,
        latency_ns=None if summary is None else whole_ns(summary.latency_ns),
        lower_ns=None if summary is None else whole_ns(summary.lower_ns),
        upper_ns=None if summary is None else whole_ns(summary.upper_ns),
        raw=None if summary is None else summary.raw,
        suspect=row.suspect,
        is_sentinel=row.is_sentinel,
        is_excluded=row.is_excluded,
    )


@dataclass(frozen=True, slots=True)
class StoredLatency:
    """The latency of a stored measurement, as measured.

    Attributes:
        measurement_id: The measurement's id.
        program_sha256: The program that was measured.
        spec: The text of the spec that it was measured with.
        latency_ns: The latency.
        unix_ns: When it was finished, in ns since 1970.
    """

    measurement_id: str
    program_sha256: str
    spec: str
    latency_ns: float
    unix_ns: int


def newest_latencies(connection: Connection, target_id: str, limit: int) -> list[StoredLatency]:
    """Return the latencies of a target's newest measurements to learn from, the newest first."""
    query = MeasurementQuery(target_id=target_id)
    is_selective = _is_selective(connection, query)
    unix_ns: ColumnElement[Any] = measurements.c.unix_ns
    statement = (
        select(
            measurements.c.id,
            jobs.c.program_sha256,
            jobs.c.spec,
            summaries.c.latency_ns,
            measurements.c.unix_ns,
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .join(summaries, summaries.c.measurement_id == measurements.c.id)
        .where(*_conditions(query, is_selective), summaries.c.unusable == "")
        .order_by((unix_ns + 0 if is_selective else unix_ns).desc())
        .limit(limit)
    )
    return [StoredLatency(*row) for row in connection.execute(statement)]
