"""Store sentinels and their baselines, and mark measurements that a drift makes suspect."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, select

from host.database.measurements import get_measurement, warn_once
from host.database.programs import get_program
from host.database.schema import jobs, measurements, sentinels, targets, visits
from latlab.domain.errors import UnreadableRow
from latlab.domain.measurement import Measurement, Unusable
from latlab.domain.program import Program

log = logging.getLogger(__name__)


def pin(connection: Connection, program_sha256: str) -> None:
    """Make a program the sentinel of every known target. Baselines of others are dropped."""
    other = sentinels.c.program_sha256 != program_sha256
    connection.execute(
        sentinels.update().where(other).values(program_sha256=program_sha256, baseline_id=None)
    )
    pinned = select(sentinels.c.target_id)
    for target_id in connection.scalars(select(targets.c.id).where(targets.c.id.not_in(pinned))):
        connection.execute(
            sentinels.insert().values(target_id=target_id, program_sha256=program_sha256)
        )


def pinned_program(connection: Connection) -> str | None:
    """Return the SHA-256 of the sentinel that all targets share; None without one."""
    return connection.scalars(select(sentinels.c.program_sha256).limit(1)).one_or_none()


def get_sentinel(
    connection: Connection, target_id: str
) -> tuple[Program, Measurement | None] | None:
    """Return the target's sentinel program and its baseline.

    The baseline is None if it was not measured yet, is excluded, or cannot be read. The result
    is None without a sentinel, or if its program cannot be read.
    """
    query = select(sentinels).where(sentinels.c.target_id == target_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    try:
        program = get_program(connection, row.program_sha256)
    except UnreadableRow as error:
        log.warning("the sentinel of target %s: %s", target_id, error)
        return None
    if program is None:
        return None
    included = (measurements.c.id == row.baseline_id) & measurements.c.is_excluded.is_(False)
    baseline_id = connection.scalars(select(measurements.c.id).where(included)).one_or_none()
    if baseline_id is None:
        return program, None
    try:
        return program, get_measurement(connection, baseline_id)
    except UnreadableRow as error:
        warn_once(Unusable(baseline_id, target_id, str(error)))
        return program, None


def set_baseline(connection: Connection, target_id: str, measurement_id: str | None) -> None:
    """Store the target's baseline. None: the sentinel's next measurement becomes the baseline."""
    is_target = sentinels.c.target_id == target_id
    connection.execute(sentinels.update().where(is_target).values(baseline_id=measurement_id))


def mark_suspect(connection: Connection, measurement_id: str) -> None:
    """Mark a measurement as suspect."""
    connection.execute(
        measurements.update().where(measurements.c.id == measurement_id).values(suspect=True)
    )


def mark_since_last_good(connection: Connection, target_id: str, device_serial: str) -> None:
    """Mark as suspect what the device measured since the target's last sentinel without drift."""
    here = select(visits.c.job_id).where(visits.c.device_serial == device_serial)
    job_ids = select(jobs.c.id).where(jobs.c.target_id == target_id, jobs.c.id.in_(here))
    last_good = (
        select(measurements.c.unix_ns)
        .where(
            measurements.c.job_id.in_(job_ids.where(jobs.c.is_sentinel)),
            measurements.c.suspect.is_(False),
            measurements.c.is_excluded.is_(False),
        )
        .order_by(measurements.c.unix_ns.desc())
        .limit(1)
    )
    since_unix_ns = connection.scalars(last_good).one_or_none() or 0
    connection.execute(
        measurements.update()
        .where(measurements.c.job_id.in_(job_ids), measurements.c.unix_ns > since_unix_ns)
        .values(suspect=True)
    )
