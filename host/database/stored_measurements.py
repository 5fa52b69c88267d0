"""List stored measurements for people, and store which of them their owner has excluded.

Measurements that cannot be used are listed too. An excluded measurement is kept. It is not answered
again, and no predictor learns from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from host.database.devices import all_targets
from host.database.jobs import failure_from_row
from host.database.measurements import UsableMeasurement, look_up
from host.database.schema import exclusions, jobs, measurements, visits
from latlab.domain.estimate import whole_ns
from latlab.domain.failure import Failure
from latlab.domain.measurement import Exclusion, StoredMeasurement, Unusable

MIN_PREFIX = 6


def measurement_ids(connection: Connection, target_id: str = "", prefix: str = "") -> list[str]:
    """Return the ids of stored measurements, the newest first.

    Args:
        connection: A connection to the database.
        target_id: Whose measurements; "" for those of all targets.
        prefix: What their ids begin with; "" for all.
    """
    query = select(measurements.c.id).order_by(measurements.c.unix_ns.desc(), measurements.c.id)
    if target_id:
        query = query.join(jobs, jobs.c.id == measurements.c.job_id)
        query = query.where(jobs.c.target_id == target_id)
    if prefix:
        query = query.where(measurements.c.id.startswith(prefix, autoescape=True))
    return list(connection.scalars(query))


def stored_measurements(connection: Connection, ids: Sequence[str]) -> list[StoredMeasurement]:
    """Return the stored measurements of these ids, in input order."""
    query = (
        select(measurements, jobs.c.target_id, jobs.c.program_sha256, jobs.c.is_sentinel)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(measurements.c.id.in_(ids))
    )
    rows = {row.id: row for row in connection.execute(query)}
    names = {target.id: target.name for target in all_targets(connection)}
    excluded = current_exclusions(connection, ids)
    found = look_up(connection, ids)
    failed = _failed_visits(connection, [row.job_id for row in rows.values()])
    return [
        replace(
            _listed(row, names.get(row.target_id, "?"), found[row.id], excluded.get(row.id)),
            failed_visits=tuple(failed[row.job_id]),
        )
        for row in (rows[id_] for id_ in ids if id_ in rows)
    ]


def find(connection: Connection, prefix: str) -> list[tuple[str, str]]:
    """Return (id, target id) of at most two measurements whose ids begin with the prefix."""
    query = (
        select(measurements.c.id, jobs.c.target_id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(measurements.c.id.startswith(prefix, autoescape=True))
        .limit(2)
    )
    return [(row.id, row.target_id) for row in connection.execute(query)]


def exclude(connection: Connection, measurement_id: str, why: str, now_unix_ns: int) -> None:
    """Store that a measurement is excluded from now on, and why."""
    _decide(connection, measurement_id, True, why, now_unix_ns)


def include(connection: Connection, measurement_id: str, now_unix_ns: int) -> None:
    """Store that an excluded measurement is used again."""
    _decide(connection, measurement_id, False, "", now_unix_ns)


def current_exclusions(
    connection: Connection, measurement_ids: Iterable[str]
) -> dict[str, Exclusion]:
    """Return, by id, the exclusion of each of the measurements that is excluded now."""
    query = (
        select(exclusions)
        .join(measurements, measurements.c.id == exclusions.c.measurement_id)
        .where(measurements.c.is_excluded, exclusions.c.measurement_id.in_(list(measurement_ids)))
        .order_by(exclusions.c.id)
    )
    return {
        row.measurement_id: Exclusion(row.unix_ns, row.why) for row in connection.execute(query)
    }


def decisions(connection: Connection, target_id: str) -> int:
    """Return how often measurements of the target were excluded or included.

    If a predictor was fitted at another number, other measurements count now than it has learned
    from.
    """
    # A target may have many measurements, and decisions are few: each of them is looked up.
    of_target = (
        select(measurements.c.id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(measurements.c.id == exclusions.c.measurement_id, jobs.c.target_id == target_id)
    )
    query = select(func.count()).select_from(exclusions).where(of_target.exists())
    return connection.scalars(query).one()


def _failed_visits(connection: Connection, job_ids: list[str]) -> dict[str, list[Failure]]:
    """Return the failures of visits by job, in the order of the requests."""
    query = (
        select(visits.c.job_id, visits.c.failure_kind, visits.c.failure_message)
        .where(visits.c.job_id.in_(job_ids), visits.c.failure_kind.is_not(None))
        .order_by(visits.c.id)
    )
    failed: dict[str, list[Failure]] = defaultdict(list)
    for row in connection.execute(query):
        failed[row.job_id].append(failure_from_row(row.failure_kind, row.failure_message))
    return failed


def _listed(
    row: Row[Any],
    target: str,
    found: UsableMeasurement | Unusable,
    exclusion: Exclusion | None,
) -> StoredMeasurement:
    summary = None if isinstance(found, Unusable) else found.summary
    return StoredMeasurement(
        id=row.id,
        unix_ns=row.unix_ns if isinstance(row.unix_ns, int) else 0,
        target=target,
        target_id=row.target_id,
        program_sha256=row.program_sha256,
        latency_ns=None if summary is None else whole_ns(summary.latency_ns),
        lower_ns=None if summary is None else whole_ns(summary.lower_ns),
        upper_ns=None if summary is None else whole_ns(summary.upper_ns),
        clean_visits=summary.clean_visits if summary else 0,
        visits=summary.visits if summary else 0,
        suspect=row.suspect,
        is_sentinel=row.is_sentinel,
        exclusion=exclusion,
        unusable=found.why if isinstance(found, Unusable) else "",
        untraced=not isinstance(found, Unusable) and found.untraced,
        raw=None if summary is None else summary.raw,
    )


def _decide(
    connection: Connection, measurement_id: str, is_excluded: bool, why: str, now_unix_ns: int
) -> None:
    connection.execute(
        measurements.update()
        .where(measurements.c.id == measurement_id)
        .values(is_excluded=is_excluded)
    )
    connection.execute(
        exclusions.insert().values(
            measurement_id=measurement_id, unix_ns=now_unix_ns, is_excluded=is_excluded, why=why
        )
    )
