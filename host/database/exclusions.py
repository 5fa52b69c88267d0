"""Store which measurements their owner has excluded.

An excluded measurement is kept. It is not answered again, and no predictor learns from it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from host.database.schema import exclusions, jobs, measurements
from latlab.domain.measurement import Exclusion

MIN_PREFIX = 6


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


def current(connection: Connection, measurement_ids: Iterable[str]) -> dict[str, Exclusion]:
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
    query = (
        select(func.count())
        .select_from(exclusions)
        .join(measurements, measurements.c.id == exclusions.c.measurement_id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(jobs.c.target_id == target_id)
    )
    return connection.scalars(query).one()


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
