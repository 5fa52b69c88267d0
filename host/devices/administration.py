"""Answer people's questions about devices, and change them, while the lab runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection

from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import programs as program_rows
from host.database import sentinels as sentinel_rows
from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.worker import DeviceWorker
from host.jobs.cancelling import choose
from host.jobs.dispatcher import Dispatcher
from host.jobs.queue import rank
from host.jobs.wait_reasons import ServingDevice, waits_for
from latlab.domain.checks.text import cleaned
from latlab.domain.device import DeviceEvent, DeviceHistory, EventKind, TransportKind
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import OpenJob
from latlab.domain.measurement import Conditions
from latlab.domain.target import targets_of

MAX_NOTE = 1_000  # characters


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

    def remove(self, device: str) -> list[str]:
        """Let go of a device, or of one route to it, and return the names of those routes.

        A device of the past is waited for no longer: its runs have failed, and jobs that no other
        device serves end. Raises InvalidRequest for the lab's own machine.
        """
        with self._database.reading() as connection:
            serial = history_rows.find_device(connection, device)
            last_route = history_rows.last_transport(connection, serial)
        leading = [
            worker
            for worker in self._fleet.workers
            if device in (worker.transport.name, worker.transport.address, _serial(worker))
            or (worker.device is None and worker.transport.name == last_route)
        ]
        if any(worker.transport.kind is TransportKind.LOCAL for worker in leading):
            raise InvalidRequest(
                "the lab's own machine cannot be removed: `latlab devices drain local` gives it"
                " no more jobs"
            )
        for worker in leading:
            worker.remove()
        if serial is not None and not any(map(_serial, leading)):
            self._expect_no_more(serial)
        elif not leading:
            raise _unknown(device)
        return [worker.transport.name for worker in leading]

    def set_note(self, device: str, note: str) -> None:
        """Replace the note that people left on the device. It is kept in one line."""
        serial, note = self._find(device), cleaned(note, MAX_NOTE)
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
        ranked = sorted(self._dispatcher.all_states(), key=rank)
        with self._database.reading() as connection:
            names = {target.id: target.name for target in device_rows.all_targets(connection)}
        serving = self.serving()
        jobs = [
            OpenJob(
                id=state.job.id,
                target=names[state.job.target_id],
                program_sha256=state.job.program_sha256,
                priority=state.job.priority,
                visits_done=len(state.visits),
                waits_for=waits_for(self._dispatcher.position(state), serving[state.job.target_id]),
                created_unix_ns=state.job.created_unix_ns,
            )
            for state in ranked[:limit]
        ]
        return jobs, len(ranked)

    def cancel_jobs(self, ids: Collection[str], target: str, program: str) -> list[str]:
        """End the open jobs that meet every condition, and return their ids.

        A visit under way goes on, and its samples are kept.

        Args:
            ids: Ids of jobs or their first characters; empty for all.
            target: A target's id or name; "" for all.
            program: A program's SHA-256 or its first digits; "" for all.

        Raises:
            NotFound: There is no such job or target. Then none is cancelled.
            InvalidRequest: No condition is given, or one does not name a single thing.
        """
        if not (ids or target or program):
            raise InvalidRequest("name the jobs to cancel by their ids, target or program")
        states = self._dispatcher.all_states()
        chosen = choose(states, ids, self._targets_called(target) if target else None, program)
        for state in chosen:
            self._dispatcher.end(state, Failure(FailureKind.CANCELLED, "it was cancelled"))
        return [state.job.id for state in chosen]

    def _targets_called(self, wanted: str) -> set[str]:
        """Return the ids of all builds' targets of this id or name."""
        with self._database.reading() as connection:
            targets = device_rows.all_targets(connection)
        found = {target.id for target in targets if wanted in (target.id, target.name)}
        if not found:
            raise NotFound(f"no target {wanted!r}: `latlab jobs` shows those of the open jobs")
        return found

    def _find(self, wanted: str) -> str:
        """Return the serial of a device."""
        with self._database.reading() as connection:
            serial = history_rows.find_device(connection, wanted)
        if serial is None:
            raise _unknown(wanted)
        return serial

    def _expect_no_more(self, serial: str) -> None:
        with self._database.reading() as connection:
            targets = targets_of(device_rows.get_device(connection, serial))
        self._dispatcher.routes.recall(serial, (target.id for target in targets))
        why = Failure(FailureKind.DEVICE_LOST, f"{serial} was removed from the lab")
        self._dispatcher.leave(serial, why)

    def _workers_of(self, serial: str) -> list[DeviceWorker]:
        return [worker for worker in self._fleet.workers if _serial(worker) == serial]

    def serving(self) -> defaultdict[str, list[ServingDevice]]:
        """Return the devices that serve each target, by its id, and why each takes no job now."""
        serving: defaultdict[str, list[ServingDevice]] = defaultdict(list)
        for worker in self._fleet.workers:
            for target_id in worker.targets:
                obstacle = worker.obstacle or _drift(worker, target_id)
                serving[target_id].append(ServingDevice(worker.transport.name, obstacle))
        return serving


def _unknown(device: str) -> NotFound:
    return NotFound(f"no device {device!r}: `latlab lab status` lists them")


def _serial(worker: DeviceWorker) -> str | None:
    """Return the serial of the worker's device; None until the device has answered."""
    return None if worker.device is None else worker.device.serial


def _drift(worker: DeviceWorker, target_id: str) -> str:
    """Return why the worker leaves the target's jobs alone; "" if it does not."""
    awake = worker.sentinels.awake([target_id])
    return "" if target_id in awake else "the target's sentinel has drifted"
