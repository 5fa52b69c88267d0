"""Store devices, targets and leases."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cattrs
from sqlalchemy import BigInteger, Connection, Row, cast, func, select

from host.database import raw
from host.database.schema import devices, leases, measurements, targets
from latlab.domain.device import Device
from latlab.domain.target import Target

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_converter = cattrs.Converter(detailed_validation=False)


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


def get_device(connection: Connection, serial: str) -> Device:
    """Return the description of a registered device. Raises UnreadableRow."""
    query = select(devices.c.description).where(devices.c.serial == serial)
    with raw.reading(f"device {serial}"):
        return _converter.structure(connection.scalars(query).one(), Device)


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


def measurement_counts(connection: Connection, target_id: str = "") -> dict[str, int]:
    """Count the measurements that a predictor may learn from, by target id; "" for all targets."""
    learned = measurements.c.learned_target_id
    query = (
        select(learned, func.count())
        .where(
            learned.is_not(None),
            measurements.c.suspect.is_(False),
            measurements.c.is_excluded.is_(False),
        )
        .group_by(learned)
    )
    if target_id:
        query = query.where(learned == target_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def acquire_lease(
    connection: Connection, device_serial: str, holder: str, duration_ns: int
) -> int | None:
    """Lease the device to a holder, from now on by the clock of `lease_clock`.

    The present holder's lease is prolonged and keeps its token. A new holder's token is higher
    than all before it.

    Returns:
        The token; None while the lease of another holder has not expired. If that would last
        longer than `duration_ns`, the clock was set back since, and it is cut to `duration_ns`.
    """
    is_device = leases.c.device_serial == device_serial
    row = connection.execute(select(leases).where(is_device).with_for_update()).one_or_none()
    clock, now_ns = lease_clock(connection)
    expires_ns = now_ns + duration_ns
    lease = {"holder": holder, "clock": clock, "expires_ns": expires_ns}
    if row is None:
        connection.execute(leases.insert().values(device_serial=device_serial, token=1, **lease))
        return 1
    if row.holder != holder and row.clock == clock and row.expires_ns > now_ns:
        latest = leases.c.expires_ns > expires_ns
        connection.execute(leases.update().where(is_device, latest).values(expires_ns=expires_ns))
        return None
    token: int = row.token if row.holder == holder else row.token + 1
    connection.execute(leases.update().where(is_device).values(token=token, **lease))
    return token


def release_lease(connection: Connection, device_serial: str, token: int) -> None:
    """End a lease now. Its row stays, so that the token goes on growing."""
    connection.execute(
        leases.update()
        .where(leases.c.device_serial == device_serial, leases.c.token == token)
        .values(expires_ns=0)
    )


def lease_clock(connection: Connection) -> tuple[str, int]:
    """Return the clock by which leases expire, and its time in ns.

    All labs on a database share the clock. PostgreSQL has one of its own. Labs on a SQLite file
    share a machine, so theirs is the time since its boot, which nobody can set: a lease of an
    earlier boot is over.
    """
    if connection.dialect.name == "sqlite":
        return BOOT_ID.read_text().strip(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    unix_s = func.extract("epoch", func.clock_timestamp())
    return "", connection.execute(select(cast(unix_s * 10**9, BigInteger))).scalar_one()


def _target(row: Row[Any]) -> Target:
    fields = dict(row._mapping)
    del fields["id"]
    return Target(**fields)
