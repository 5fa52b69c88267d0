"""Keep a device's health, decide whether it gets jobs, and record its events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from sqlalchemy import Connection

from host.database import device_history as history_rows
from host.database.engine import Database
from host.devices.readiness import health_rule
from host.devices.readiness.health_rule import Health
from latlab.domain.device import DeviceEvent, DevicePhase, EventKind
from latlab.domain.errors import Unavailable
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.measurement import Visit

log = logging.getLogger(__name__)


class HealthWatch:
    """Watches one device for its worker. Any thread may set `drained`."""

    def __init__(self, database: Database) -> None:
        self.drained = False
        self._database = database
        self._health = Health()
        self._probe_s = 0.0  # when the next probe is due, in time.monotonic's time
        self._serial = ""  # empty while the device is not connected

    @property
    def barred(self) -> tuple[DevicePhase, str] | None:
        """The phase and detail that keep the device from jobs; None if it gets jobs."""
        if self.drained:
            return DevicePhase.DRAINED, ""
        if self._health.is_quarantined:
            wait_s = max(0.0, self._probe_s - time.monotonic())
            detail = f"to be probed in {wait_s:.0f} s: {self._health.reason}"
            return DevicePhase.QUARANTINED, detail
        return None

    @property
    def probe_is_due(self) -> bool:
        """True if the device must be probed now, because it is quarantined or doubtful."""
        if self.drained:
            return False
        if self._health.is_quarantined:
            return time.monotonic() >= self._probe_s
        return self._health.is_doubtful

    def connected(self, connection: Connection, serial: str) -> None:
        """Note that the device was registered, also after a short absence."""
        self.drained = history_rows.is_drained(connection, serial)
        if not self._serial:
            history_rows.add_event(
                connection, serial, DeviceEvent(time.time_ns(), EventKind.CONNECTED)
            )
        self._serial = serial

    def gone(self, kind: EventKind, why: str = "") -> None:
        """Note that the device is away; harmless if it was not connected."""
        if self._serial:
            self._record(kind, why)
            self._serial = ""

    def visited(self, job: Job, traced: bool, outcome: Visit | Failure) -> None:
        """Note the outcome of a job's visit, which may quarantine the device."""
        has_run = False
        if isinstance(outcome, Failure):
            with self._database.reading() as connection:
                has_run = history_rows.has_run(connection, job, traced)
        self._become(health_rule.after_visit(self._health, job.program_sha256, outcome, has_run))

    def probe(self, visit: Callable[[], Visit | Failure | None]) -> None:
        """Probe the device. It gets jobs again if the probe succeeds, and none if it fails.

        Args:
            visit: Makes a visit that belongs to no job, or returns None if there is no program
                to visit with and the device answers.

        Raises:
            Unavailable: The device does not answer.
        """
        try:
            outcome = visit()
        except Unavailable as error:
            self._probed(Failure(FailureKind.DEVICE_LOST, str(error)))
            raise
        self._probed(outcome if isinstance(outcome, Failure) else None)

    def _probed(self, failure: Failure | None) -> None:
        self._become(health_rule.after_probe(self._health, failure))

    def _become(self, health: Health) -> None:
        before, self._health = self._health, health
        self._probe_s = time.monotonic() + health.pause_s
        if health.is_quarantined and not before.is_quarantined:
            self._record(EventKind.QUARANTINED, health.reason)
        elif before.is_quarantined and not health.is_quarantined:
            self._record(EventKind.RECOVERED)

    def _record(self, kind: EventKind, detail: str = "") -> None:
        log.warning("device %s: %s %s", self._serial, kind.value, detail)
        with self._database.writing() as connection:
            history_rows.add_event(
                connection, self._serial, DeviceEvent(time.time_ns(), kind, detail)
            )
