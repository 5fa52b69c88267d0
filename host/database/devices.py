"""Store devices, targets and leases."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, select

from host.database.jobs import spec_from_text
from host.database.measurements import TRUSTED
from host.database.schema import devices, jobs, leases, measurements, targets
from latlab.domain.device import Device
from latlab.domain.errors import UnreadableRow
from latlab.domain.job import Lease
from latlab.domain.target import Target


def register(connection: Connection, device: Device, transport: str, now_unix_ns: int) -> None:
    """Add a device to the database, or update its description there."""
    known = {
        "transport": transport,
        "description": asdict(device),
        "last_seen_unix_ns": now_unix_ns,
    }
    is_device = devices.c.serial == device.serial
    if connection.execute(devices.update().where(is_device).values(known)).rowcount == 0:
        connection.execute(
            devices.insert().values(serial=device.serial, first_seen_unix_ns=now_unix_ns, **known)
        )


def register_target(connection: Connection, target: Target) -> None:
    """Add a target to the database if it is new."""
    if get_target(connection, target.id) is None:
        connection.execute(targets.insert().values(id=target.id, **asdict(target)))


def get_target(connection: Connection, target_id: str) -> Target | None:
    """Return the target with this id; None if there is none."""
    row = connection.execute(select(targets).where(targets.c.id == target_id)).one_or_none()
    return None if row is None else _target(row)


def all_targets(connection: Connection) -> list[Target]:
    """Return every known target."""
    return [_target(row) for row in connection.execute(select(targets))]


def measurement_counts(connection: Connection) -> dict[str, int]:
    """Count the measurements that a predictor may learn from, by target id."""
    query = (
        select(jobs.c.target_id, jobs.c.spec, func.count().label("measured"))
        .join(measurements, measurements.c.job_id == jobs.c.id)
        .where(TRUSTED)
        .group_by(jobs.c.target_id, jobs.c.spec)
    )
    counts: Counter[str] = Counter()
    for row in connection.execute(query):
        with contextlib.suppress(UnreadableRow):
            if not spec_from_text(row.spec).visit.is_sustained:
                counts[row.target_id] += row.measured
    return counts


def acquire_lease(
    connection: Connection, device_serial: str, holder: str, now_unix_ns: int, duration_ns: int
) -> Lease | None:
    """Lease the device to a holder.

    The present holder's lease is prolonged and keeps its token. A new holder's token is higher
    than all before it.

    Returns:
        The lease; None while that of another holder has not expired. If that would last longer
        than `duration_ns`, the clock was set back since, and it is cut to `duration_ns`.
    """
    is_device = leases.c.device_serial == device_serial
    row = connection.execute(select(leases).where(is_device).with_for_update()).one_or_none()
    expires_unix_ns = now_unix_ns + duration_ns
    if row is None:
        lease = Lease(device_serial, holder, 1, expires_unix_ns)
        connection.execute(leases.insert().values(asdict(lease)))
        return lease
    if row.holder != holder and row.expires_unix_ns > now_unix_ns:
        latest = leases.c.expires_unix_ns > expires_unix_ns
        connection.execute(
            leases.update().where(is_device, latest).values(expires_unix_ns=expires_unix_ns)
        )
        return None
    token = row.token if row.holder == holder else row.token + 1
    lease = Lease(device_serial, holder, token, expires_unix_ns)
    connection.execute(leases.update().where(is_device).values(asdict(lease)))
    return lease


def release_lease(connection: Connection, lease: Lease) -> None:
    """End the lease now. Its row stays, so that the token goes on growing."""
    connection.execute(
        leases.update()
        .where(leases.c.device_serial == lease.device_serial, leases.c.token == lease.token)
        .values(expires_unix_ns=0)
    )


def _target(row: Row[Any]) -> Target:
    fields = dict(row._mapping)
    del fields["id"]
    return Target(**fields)
