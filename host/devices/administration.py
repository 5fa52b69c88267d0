"""Answer people's questions about devices, and change them, while the lab runs."""

from __future__ import annotations

import functools
import time

from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.worker import DeviceWorker
from host.jobs.dispatcher import Dispatcher
from host.jobs.wait_reasons import ServingDevice, waits_for
from latlab.domain.device import DeviceEvent, DeviceHistory, EventKind
from latlab.domain.errors import NotFound
from latlab.domain.job import OpenJob
from latlab.domain.measurement import Conditions


class Administration:
    """Answers requests about devices, given by serial or transport; NotFound for others."""

    def __init__(self, database: Database, fleet: Fleet, dispatcher: Dispatcher) -> None:
        self._database = database
        self._fleet = fleet
        self._dispatcher = dispatcher

    def notes(self) -> dict[str, str]:
        """Return the notes that people left on devices, by serial."""
        with self._database.reading() as connection:
            return history_rows.get_notes(connection)

    def read_conditions(self, transport: str) -> Conditions:
        """Return the present conditions of the device at a transport. Raises Unavailable."""
        for worker in self._fleet.workers:
            if worker.transport.name == transport:
                return worker.read_conditions()
        raise NotFound(f"no device is connected by {transport!r}: `latlab lab status` lists them")

    def set_drained(self, device: str, drained: bool) -> None:
        """Give the device no more jobs, or give it jobs again."""
        serial = self._find(device)
        kind = EventKind.DRAINED if drained else EventKind.UNDRAINED
        with self._database.writing() as connection:
            history_rows.set_drained(connection, serial, drained)
            history_rows.add_event(connection, serial, DeviceEvent(time.time_ns(), kind))
        for worker in self._workers_of(serial):
            worker.health.drained = drained

    def set_note(self, device: str, note: str) -> None:
        """Replace the note that people left on the device."""
        serial = self._find(device)
        event = DeviceEvent(time.time_ns(), EventKind.NOTED, note)
        with self._database.writing() as connection:
            history_rows.set_note(connection, serial, note)
            history_rows.add_event(connection, serial, event)

    def history(self, device: str) -> DeviceHistory:
        """Return the device's event history."""
        serial = self._find(device)
        is_connected = any(worker.is_connected for worker in self._workers_of(serial))
        with self._database.reading() as connection:
            now_unix_ns = time.time_ns() if is_connected else None
            return history_rows.history(connection, serial, now_unix_ns)

    def pin_sentinel(self, program_sha256: str) -> None:
        """Make an uploaded program the sentinel of every target."""
        with self._database.writing() as connection:
            if program_rows.get_program(connection, program_sha256) is None:
                raise NotFound(f"no program {program_sha256[:12]} was uploaded: upload it first")
            sentinel_rows.pin(connection, program_sha256)
        for worker in self._fleet.workers:
            worker.sentinels.pinned()

    def renew_baseline(self, target_id: str) -> None:
        """Make the next measurement of the target's sentinel its new baseline."""
        with self._database.writing() as connection:
            sentinel_rows.set_baseline(connection, target_id, None)
        for worker in self._fleet.workers:
            worker.sentinels.renew(target_id)

    def open_jobs(self, limit: int) -> tuple[list[OpenJob], int]:
        """Return the first open jobs in rank order, at most `limit`, and how many are open."""
        positions = self._dispatcher.positions()
        with self._database.reading() as connection:
            names = {target.id: target.name for target in device_rows.all_targets(connection)}
        serving = functools.cache(self._serving)
        jobs = [
            OpenJob(
                id=state.job.id,
                target=names[state.job.target_id],
                program_sha256=state.job.program_sha256,
                priority=state.job.priority,
                visits_done=len(state.visits),
                waits_for=waits_for(position, serving(state.job.target_id)),
            )
            for state, position in positions[:limit]
        ]
        return jobs, len(positions)

    def _find(self, wanted: str) -> str:
        """Return the serial of a device."""
        with self._database.reading() as connection:
            serial = history_rows.find_device(connection, wanted)
        if serial is None:
            raise NotFound(f"no device {wanted!r}: `latlab lab status` lists them")
        return serial

    def _workers_of(self, serial: str) -> list[DeviceWorker]:
        workers = self._fleet.workers
        return [
            each for each in workers if each.device is not None and each.device.serial == serial
        ]

    def _serving(self, target_id: str) -> list[ServingDevice]:
        return [
            ServingDevice(worker.transport.name, worker.obstacle or _drift(worker, target_id))
            for worker in self._fleet.workers
            if target_id in worker.targets
        ]


def _drift(worker: DeviceWorker, target_id: str) -> str:
    """Return why the worker leaves the target's jobs alone; "" if it does not."""
    awake = worker.sentinels.awake([target_id])
    return "" if target_id in awake else "the target's sentinel has drifted"
