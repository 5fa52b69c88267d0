"""Remove the raw samples of old measurements, which stay exact without them.

All that is asked of a measurement comes from its summary, from its kernels' mean times, and from
the conditions, load times and memory of its visits. These stay. The samples are needed to
summarise a measurement by a new version of the statistic, and to look at its runs. So the summary
of a measurement without samples is frozen: later versions of the statistic do not make it anew.

Samples are removed only where the summary of the present version was computed from them, and is
equal to the stored one. They stay where something may still be made of them: of measurements that
cannot be used, and of traces that do not match the program's kernels. The baseline of a sentinel
keeps its samples too, because each check of the sentinel summarises them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from host.database.engine import Database
from host.database.maintenance.measurement_checks import summary_problem
from host.database.maintenance.space import give_back
from host.database.measurements import UsableMeasurement, get_measurement, look_up
from host.database.schema import (
    jobs,
    kernel_timings,
    measurements,
    sentinels,
    summaries,
    visits,
)
from host.database.summaries import COLUMNS, Statistic
from latlab.domain.database.maintenance import Compaction, CompactionPolicy, Progress
from latlab.domain.errors import UnreadableRow
from latlab.domain.measurement import Unusable

A_PAGE = 50  # measurements, with all their samples; others write in between
STEP = "removing samples"

BASELINE = "they are baselines of sentinels"
NOT_SUMMARISED = "they have no summary by this version, or cannot be used"
UNREADABLE = "their visits cannot be read: `latlab db check` says why"
WRONG = "their summaries are wrong: `latlab db check` says how"
UNALIGNED = "their traces match no list of kernels yet"

_SERIES = (visits.c.wall_ns, visits.c.cpu_ns, visits.c.involuntary_switches)


def compact(
    database: Database, policy: CompactionPolicy, statistic: Statistic, *, is_alone: bool
) -> Iterator[Progress | Compaction]:
    """Remove samples, give the space back, and yield how far that is; what was done comes last.

    Args:
        database: The database.
        policy: Which samples to remove.
        statistic: By which summaries are made now.
        is_alone: Whether nobody else uses the database, so that its file may be written anew.

    Raises:
        StorageError: The database cannot be read or written.
    """
    old = _old(policy)
    with database.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(measurements).where(old)) or 0
    removed, removed_bytes, kept = 0, 0, Counter[str]()
    done, last_id = 0, ""
    yield Progress(STEP, done, total)
    while True:
        with database.reading() as connection:
            rows = connection.execute(_page(old, last_id)).all()
            sizes = _sample_bytes(connection, [row.job_id for row in rows])
            found = look_up(connection, [row.id for row in rows])
            chosen = [
                row
                for row in rows
                if sizes[row.job_id].removed(policy)
                and not _is_kept(connection, row, found.get(row.id), statistic, kept)
            ]
        if not rows:
            break
        if chosen and not policy.dry_run:
            with database.writing() as connection:
                # One may have become a baseline since it was read.
                baselines = set(connection.scalars(select(sentinels.c.baseline_id)))
                chosen = [row for row in chosen if row.id not in baselines]
                _remove(connection, chosen, sizes, policy)
        removed += len(chosen)
        removed_bytes += sum(sizes[row.job_id].removed(policy) for row in chosen)
        done, last_id = done + len(rows), rows[-1].id
        yield Progress(STEP, done, max(done, total))
    returned_bytes, advice = 0, ""
    if not policy.dry_run:
        returned_bytes, advice = yield from give_back(database, is_alone=is_alone)
        if returned_bytes >= removed_bytes:
            advice = ""
    yield Compaction(removed, removed_bytes, dict(kept), returned_bytes, advice)


def _old(policy: CompactionPolicy) -> ColumnElement[bool]:
    """Return the condition of measurements that still have samples to remove."""
    removed = (
        measurements.c.traces_removed_unix_ns
        if policy.traces_only
        else measurements.c.samples_removed_unix_ns
    )
    return (measurements.c.unix_ns < policy.before_unix_ns) & removed.is_(None)


def _page(old: ColumnElement[bool], after_id: str) -> Select[Any]:
    return (
        select(
            measurements,
            jobs.c.target_id,
            jobs.c.program_sha256,
            jobs.c.spec,
            jobs.c.is_sentinel,
            summaries.c.version,
            *COLUMNS,
            kernel_timings.c.measurement_id.is_not(None).label("has_kernel_times"),
            sentinels.c.target_id.label("baseline_of"),
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .outerjoin(summaries, summaries.c.measurement_id == measurements.c.id)
        .outerjoin(kernel_timings, kernel_timings.c.measurement_id == measurements.c.id)
        .outerjoin(sentinels, sentinels.c.baseline_id == measurements.c.id)
        .where(old, measurements.c.id > after_id)
        .order_by(measurements.c.id)
        .limit(A_PAGE)
    )


def _is_kept(
    connection: Connection,
    row: Row[Any],
    found: UsableMeasurement | Unusable | None,
    statistic: Statistic,
    kept: Counter[str],
) -> bool:
    """Return whether a measurement keeps its samples, and count the reason."""
    is_usable = isinstance(found, UsableMeasurement)
    reason = _reason_to_keep(connection, row, statistic) if is_usable else NOT_SUMMARISED
    if reason:
        kept[reason] += 1
    return bool(reason)


def _reason_to_keep(connection: Connection, row: Row[Any], statistic: Statistic) -> str:
    if row.baseline_of is not None:
        return BASELINE
    if row.version != statistic.version:
        return NOT_SUMMARISED
    try:
        measurement = get_measurement(connection, row.id)
    except UnreadableRow:
        return UNREADABLE
    if measurement is None or summary_problem(row, measurement, statistic):
        return WRONG
    if not row.has_kernel_times and any(visit.kernel_traces for visit in measurement.visits):
        return UNALIGNED
    return ""


class _SampleBytes(NamedTuple):
    """The bytes of the samples of a measurement: of its traces, and of its series."""

    traces: int
    series: int

    def removed(self, policy: CompactionPolicy) -> int:
        return self.traces + (0 if policy.traces_only else self.series)


def _sample_bytes(connection: Connection, job_ids: Sequence[str]) -> dict[str, _SampleBytes]:
    """Return the bytes of the samples of each job, of which some may have none."""

    def total(series: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(func.length(series)), 0)

    query = (
        select(visits.c.job_id, total(visits.c.trace_ns), *map(total, _SERIES))
        .where(visits.c.job_id.in_(job_ids))
        .group_by(visits.c.job_id)
    )
    sizes = dict.fromkeys(job_ids, _SampleBytes(0, 0))
    for job_id, traces, *series in connection.execute(query):
        sizes[job_id] = _SampleBytes(int(traces), sum(map(int, series)))
    return sizes


def _remove(
    connection: Connection,
    chosen: Sequence[Row[Any]],
    sizes: Mapping[str, _SampleBytes],
    policy: CompactionPolicy,
) -> None:
    """Empty the series, which do not become NULL: the visits did bring samples."""
    now_unix_ns = time.time_ns()
    brought = visits.c.job_id.in_([row.job_id for row in chosen]) & visits.c.wall_ns.is_not(None)
    emptied = [visits.c.trace_ns, *(() if policy.traces_only else _SERIES)]
    connection.execute(
        visits.update().where(brought).values({series.name: b"" for series in emptied})
    )
    traced = [row.id for row in chosen if sizes[row.job_id].traces]
    connection.execute(
        measurements.update()
        .where(measurements.c.id.in_(traced))
        .values(traces_removed_unix_ns=now_unix_ns)
    )
    if not policy.traces_only:
        connection.execute(
            measurements.update()
            .where(measurements.c.id.in_([row.id for row in chosen]))
            .values(samples_removed_unix_ns=now_unix_ns)
        )
