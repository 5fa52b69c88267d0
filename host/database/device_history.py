"""Store the history of a device: whether it is drained, its note, and its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from host.database import summaries as summary_rows
from host.database.jobs import failure_from_row, spec_to_text
from host.database.schema import device_events, devices, jobs, measurements, summaries, visits
from latlab.domain.checks.text import cleaned
from latlab.domain.checks.visit import MAX_MESSAGE_LENGTH
from latlab.domain.device import DeviceEvent, DeviceHistory, EventKind, SentinelReading
from latlab.domain.errors import UnreadableRow
from latlab.domain.failure import FailureKind
from latlab.domain.job import Job

MAX_EVENTS = 500  # stored for each device; the oldest are deleted
SHOWN = 20
NEWEST = 1000  # visits among which an acknowledgement may be missing


def find_device(connection: Connection, wanted: str) -> str | None:
    """Return the serial of the device with this serial, or of the newest one at this transport.

    A phone's transport may be given by adb's serial alone. None: there is no such device.
    """
    query = (
        select(devices.c.serial)
        .where(or_(devices.c.serial == wanted, devices.c.transport.in_([wanted, f"adb:{wanted}"])))
        .order_by((devices.c.serial == wanted).desc(), devices.c.last_seen_unix_ns.desc())
        .limit(1)
    )
    return connection.scalars(query).one_or_none()


def last_transport(connection: Connection, serial: str | None) -> str | None:
    """Return the transport that the device last came by; None if there is no such device."""
    query = select(devices.c.transport).where(devices.c.serial == serial)
    return connection.scalars(query).one_or_none()


def is_drained(connection: Connection, serial: str) -> bool:
    """Return whether the device gets no jobs because its owner said so."""
    query = select(devices.c.is_drained).where(devices.c.serial == serial)
    return bool(connection.scalars(query).one())


def set_drained(connection: Connection, serial: str, drained: bool) -> None:
    """Store whether the device is drained."""
    is_device = devices.c.serial == serial
    connection.execute(devices.update().where(is_device).values(is_drained=drained))


def get_notes(connection: Connection) -> dict[str, str]:
    """Return the notes that people left on devices, by serial; empty ones are left out."""
    query = select(devices.c.serial, devices.c.note).where(devices.c.note != "")
    return {row.serial: row.note for row in connection.execute(query)}


def set_note(connection: Connection, serial: str, note: str) -> None:
    """Replace the note that people left on the device."""
    connection.execute(devices.update().where(devices.c.serial == serial).values(note=note))


def add_event(connection: Connection, serial: str, event: DeviceEvent) -> None:
    """Add an event to the device's history, which keeps the newest MAX_EVENTS."""
    is_device = device_events.c.device_serial == serial
    connection.execute(
        device_events.insert().values(
            device_serial=serial,
            unix_ns=event.unix_ns,
            kind=event.kind.value,
            detail=cleaned(event.detail, MAX_MESSAGE_LENGTH),
        )
    )
    newest_first = select(device_events.c.id).where(is_device).order_by(device_events.c.id.desc())
    too_old = connection.scalars(newest_first.offset(MAX_EVENTS).limit(1)).one_or_none()
    if too_old is not None:
        connection.execute(device_events.delete().where(is_device, device_events.c.id <= too_old))


def has_run(connection: Connection, job: Job, traced: bool) -> bool:
    """Return whether the job's program has run on a device of its target, to the same spec."""
    query = (
        select(visits.c.id)
        .join(jobs, jobs.c.id == visits.c.job_id)
        .where(
            jobs.c.target_id == job.target_id,
            jobs.c.program_sha256 == job.program_sha256,
            jobs.c.spec == spec_to_text(job.spec),
            visits.c.traced == traced,
            visits.c.wall_ns.is_not(None),
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def last_asked_unix_ns(connection: Connection, target_id: str) -> int | None:
    """Return when a visit was last asked for on the target; None if none ever was."""
    query = select(func.max(visits.c.asked_unix_ns)).join(jobs, jobs.c.id == visits.c.job_id)
    asked_unix_ns: int | None = connection.scalar(query.where(jobs.c.target_id == target_id))
    return asked_unix_ns


def newest_answered(connection: Connection, serial: str) -> list[str]:
    """Return the run_ids that the device has answered among the newest visits of the lab."""
    newest = select(func.max(visits.c.id)).scalar_subquery()
    query = select(visits.c.run_id).where(
        visits.c.id > newest - NEWEST,
        visits.c.device_serial == serial,
        visits.c.answered_unix_ns.is_not(None),
    )
    return list(connection.scalars(query))


def history(connection: Connection, serial: str, until_unix_ns: int | None) -> DeviceHistory:
    """Return the device's history.

    Args:
        connection: A connection to the database.
        serial: The device's serial.
        until_unix_ns: The time up to which a connected device counts as connected, which is now;
            None if the device is not connected.
    """
    device = connection.execute(
        select(devices.c.note, devices.c.first_seen_unix_ns).where(devices.c.serial == serial)
    ).one()
    events = [
        _event(row)
        for row in connection.execute(
            select(device_events)
            .where(device_events.c.device_serial == serial)
            .order_by(device_events.c.id)
        )
    ]
    counts = connection.execute(
        select(visits.c.failure_kind, func.count().label("visits"))
        .where(visits.c.device_serial == serial, visits.c.answered_unix_ns.is_not(None))
        .group_by(visits.c.failure_kind)
    )
    failed: Counter[FailureKind] = Counter()
    brought = 0
    for row in counts:
        if row.failure_kind is None:
            brought = row.visits
        else:
            failed[failure_from_row(row.failure_kind, "").kind] += row.visits
    return DeviceHistory(
        serial=serial,
        note=device.note,
        first_seen_unix_ns=device.first_seen_unix_ns,
        connected_ns=_connected_ns(events, until_unix_ns),
        visits=brought,
        failures=dict(failed),
        events=tuple(reversed(events))[:SHOWN],
        sentinels=_sentinels(connection, serial),
    )


def _sentinels(connection: Connection, serial: str) -> tuple[SentinelReading, ...]:
    here = select(visits.c.job_id).where(visits.c.device_serial == serial)
    newest = (
        select(measurements, jobs.c.target_id, *summary_rows.COLUMNS)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .join(summaries, summaries.c.measurement_id == measurements.c.id)
        .where(jobs.c.is_sentinel, jobs.c.id.in_(here))
        .order_by(measurements.c.unix_ns.desc())
        .limit(SHOWN)
    )
    readings = []
    for row in connection.execute(newest):
        with suppress(UnreadableRow):  # `latlab doctor` reports it
            latency_ns = round(summary_rows.summary_from_row(row).latency_ns)
            readings.append(SentinelReading(row.unix_ns, row.target_id, latency_ns, row.suspect))
    return tuple(readings)


def _event(row: Row[Any]) -> DeviceEvent:
    """Read an event. One of an unknown kind is a note that names the kind."""
    try:
        return DeviceEvent(row.unix_ns, EventKind(row.kind), row.detail)
    except ValueError:
        return DeviceEvent(row.unix_ns, EventKind.NOTED, f"{row.kind}: {row.detail}")


def _connected_ns(events: Sequence[DeviceEvent], until_unix_ns: int | None) -> int:
    """Return for how long the device was connected, in ns.

    A connection counts if its end is known. A crash of the lab leaves a connection without an
    end. The last connection lasts until `until_unix_ns`; None: its end is not known.

    Args:
        events: The device's events, the oldest first.
        until_unix_ns: The end of the last connection.
    """
    total_ns, since_unix_ns = 0, None
    for event in events:
        if event.kind is EventKind.CONNECTED:
            since_unix_ns = event.unix_ns
        elif event.kind in (EventKind.LOST, EventKind.STOPPED) and since_unix_ns is not None:
            total_ns += event.unix_ns - since_unix_ns
            since_unix_ns = None
    if since_unix_ns is not None and until_unix_ns is not None:
        total_ns += until_unix_ns - since_unix_ns
    return total_ns
