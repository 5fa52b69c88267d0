"""Check each measurement: its visits, its summary and its kernels' times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from host.database import summaries as summary_rows
from host.database.engine import Database
from host.database.jobs import spec_from_text
from host.database.measurements import get_measurement
from host.database.schema import jobs, kernel_timings, measurements, programs, summaries
from host.database.summaries import FIELDS, Statistic
from latlab.domain.database.maintenance import DatabaseFinding, Progress
from latlab.domain.errors import UnreadableRow
from latlab.domain.measurement import Measurement, Summary

A_PAGE = 100  # measurements, with all their samples
STEP = "checking measurements"
RELATIVE_TOLERANCE = 1e-9  # of a summary: versions of numpy may round differently
MISCOUNTED = (
    "only the number of measurements in `latlab lab status` is wrong; a new measurement counts"
    " correctly"
)
_NUMBER_BYTES = 8  # of an id or a time in a series


def findings_of_measurements(
    database: Database, statistic: Statistic
) -> Iterator[Progress | DatabaseFinding]:
    """Yield what is wrong with the measurements, and how far the check is."""
    with database.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(measurements)) or 0
    done, last_id = 0, ""
    yield Progress(STEP, done, total)
    while True:
        with database.reading() as connection:
            rows = connection.execute(_page(last_id)).all()
            found = [each for row in rows for each in _findings(connection, row, statistic)]
        if not rows:
            return
        yield from found
        done, last_id = done + len(rows), rows[-1].id
        yield Progress(STEP, done, max(done, total))


def _page(after_id: str) -> Select[Any]:
    return (
        select(
            measurements,
            jobs.c.target_id,
            jobs.c.spec,
            jobs.c.is_sentinel,
            summaries.c.version,
            *summary_rows.COLUMNS,
            programs.c.kernel_ids,
            kernel_timings.c.kernel_ids.label("timed_ids"),
            func.length(kernel_timings.c.mean_ns).label("mean_bytes"),
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .outerjoin(summaries, summaries.c.measurement_id == measurements.c.id)
        .outerjoin(programs, programs.c.sha256 == jobs.c.program_sha256)
        .outerjoin(kernel_timings, kernel_timings.c.measurement_id == measurements.c.id)
        .where(measurements.c.id > after_id)
        .order_by(measurements.c.id)
        .limit(A_PAGE)
    )


def _findings(
    connection: Connection, row: Row[Any], statistic: Statistic
) -> Iterator[DatabaseFinding]:
    subject = f"measurement {row.id}"
    set_aside = (
        "the lab sets it aside: measure the network again, and exclude this one with"
        f" `latlab measurements exclude {row.id[:12]} --why damaged`"
    )
    try:
        measurement = get_measurement(connection, row.id)
    except UnreadableRow as error:
        yield DatabaseFinding("unreadable measurement", subject, str(error), set_aside)
    else:
        if measurement is not None and (problem := summary_problem(row, measurement, statistic)):
            yield DatabaseFinding("wrong summary", subject, problem, set_aside)
    if problem := _kernels_problem(row):
        yield DatabaseFinding("wrong kernel times", subject, problem, set_aside)
    if problem := _target_problem(row):
        yield DatabaseFinding("wrong count", subject, problem, MISCOUNTED)


def summary_problem(row: Row[Any], measurement: Measurement, statistic: Statistic) -> str:
    """Return how the stored summary differs from that of the visits; empty if it does not.

    One by another version of the statistic is made anew by the daemon. One whose samples were
    removed is all that there is.
    """
    if row.version != statistic.version or row.samples_removed_unix_ns is not None:
        return ""
    computed = statistic.summarize(measurement.visits)
    try:
        stored: Summary | str = summary_rows.summary_from_row(row)
    except UnreadableRow as error:
        stored = str(error)
    if isinstance(stored, str) or isinstance(computed, str):
        if isinstance(stored, str) and isinstance(computed, str):
            return ""
        return f"its summary says {_said(stored)}, and its visits say {_said(computed)}"
    for name in FIELDS:
        kept, expected = getattr(stored, name), getattr(computed, name)
        if not _is_close(kept, expected):
            return f"its summary says that {name} is {kept}, and its visits say {expected}"
    return ""


def _said(summary: Summary | str) -> str:
    return repr(summary) if isinstance(summary, str) else f"{summary.latency_ns:.0f} ns"


def _is_close(kept: object, expected: float | None) -> bool:
    if kept is None or expected is None:
        return kept is expected
    return isinstance(kept, (int, float)) and math.isclose(
        kept, expected, rel_tol=RELATIVE_TOLERANCE
    )


def _kernels_problem(row: Row[Any]) -> str:
    if row.timed_ids is None:
        return ""
    if row.timed_ids != row.kernel_ids:
        return "its kernels' times are of other kernels than its program's"
    kernels, times = len(row.timed_ids) // _NUMBER_BYTES, row.mean_bytes / _NUMBER_BYTES
    return "" if kernels == times else f"it has {times:g} times for {kernels} kernels"


def _target_problem(row: Row[Any]) -> str:
    """Return whether the lab counts it for another target than the one that learns from it."""
    try:
        is_sustained = spec_from_text(row.spec).visit.is_sustained
    except UnreadableRow:  # it is reported as unreadable
        return ""
    expected = None if row.is_sentinel or is_sustained else row.target_id
    counted = row.learned_target_id
    return "" if counted == expected else f"it counts for target {counted}, not {expected}"
