"""What both services know: the database, the devices, the jobs, the predictors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from host.database import device_history as history_rows
from host.database import devices as device_rows
from host.database import exclusions as exclusion_rows
from host.database import listing
from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.readiness.sentinel_rule import Watch
from host.devices.worker import DeviceWorker
from host.home.boards import checked_address
from host.jobs.dispatcher import JobBoard
from host.jobs.wait_reasons import Server
from host.predicting.estimates import look_up
from host.predicting.snapshots import Fit, Known, Predictors
from host.predicting.summaries import Summaries
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import StoredMeasurement
from latlab.domain.target import Target, find_target

MAX_WHY = 1_000
REREAD_S = 600.0


class Lab:
    def __init__(
        self,
        database: Database,
        board: JobBoard,
        programs: ProgramStore,
        summaries: Summaries,
        predictors: Predictors,
        fleet: Fleet,
        add_board: Callable[[str], None],
    ) -> None:
        self.database = database
        self.board = board
        self.programs = programs
        self.summaries = summaries
        self.predictors = predictors
        self.add_board = add_board
        self._fleet = fleet
        self._usable: set[str] = set()  # ids of measurements that could be read
        self._read_s = time.monotonic()

    @property
    def workers(self) -> list[DeviceWorker]:
        return self._fleet.workers

    def remove_board(self, address: str) -> None:
        """Raises InvalidRequest."""
        self._fleet.remove(checked_address(address))

    def find_target(self, wanted: str) -> Target:
        """By id or name; where builds share a name, the one that a device serves now."""
        served = [target for worker in self.workers for target in worker.targets.values()]
        with self.database.reading() as connection:
            return find_target(wanted, served, device_rows.all_targets(connection))

    def watch(self, target: Target) -> Watch | None:
        """What the sentinel says of it: on several devices, the one that has most to say."""
        watches = [worker.sentinels.watch(target.id) for worker in self.workers]
        return max(filter(None, watches), key=lambda watch: watch.misses, default=None)

    def fit(self, target_id: str) -> Fit:
        """The target's predictor, of what is known by now. Raises NotReady."""
        with self.database.reading() as connection:
            known = Known(
                device_rows.measurement_counts(connection).get(target_id, 0),
                exclusion_rows.decisions(connection, target_id),
            )
        return self.predictors.get(target_id, known)

    def measured_networks(self, target_id: str) -> Iterator[tuple[str, str, MeasuredNetwork]]:
        """(program SHA-256, measurement id, network) of each that a predictor can learn from,
        the oldest first."""
        self.summaries.complete()
        set_aside = self.predictors.set_aside(target_id)
        with self.database.reading() as connection:
            for sha256, id_, network in measurement_rows.measured_networks(connection, target_id):
                if id_ not in set_aside:
                    yield sha256, id_, network

    def stored_measurements(self, target_id: str, prefix: str) -> Iterator[StoredMeasurement]:
        """Of one target or ("") of all, whose ids begin so; the newest first. Those that a
        predictor could not learn from are of no use either. Raises InvalidRequest."""
        if prefix:
            _check_prefix(prefix)
        self.summaries.complete()
        with self.database.reading() as connection:
            for stored in listing.stored_measurements(connection, target_id, prefix):
                why = self.predictors.set_aside(stored.target_id).get(stored.id, "")
                yield stored if stored.unusable else replace(stored, unusable=why)

    def unusable_measurements(
        self, target_id: str, is_active: Callable[[], bool]
    ) -> Iterator[StoredMeasurement]:
        """Those of no use that nobody has excluded, of one target or ("") of all, the newest
        first. Of thousands the first time takes a while: those found to be of use are not
        read again for REREAD_S, so that who has lost patience gets further the next time."""
        self.summaries.complete(is_active)
        if time.monotonic() - self._read_s > REREAD_S:
            self._usable, self._read_s = set(), time.monotonic()
        usable = self._usable
        with self.database.reading() as connection:
            for stored in listing.stored_measurements(connection, target_id, skipped=usable):
                if not is_active():
                    return
                if not stored.unusable:
                    usable.add(stored.id)
                elif stored.exclusion is None:
                    yield stored
        for known_id in [target_id] if target_id else self.predictors.fitted():
            for measurement_id in self.predictors.set_aside(known_id):
                for stored in self.stored_measurements(known_id, measurement_id):
                    if stored.exclusion is None:
                        yield stored

    def exclude(self, prefix: str, why: str) -> str:
        """The id of what was excluded. Raises NotFound and InvalidRequest."""
        if not why.strip():
            raise InvalidRequest("say why it is to be excluded: --why TEXT")
        if len(why) > MAX_WHY:
            raise InvalidRequest(f"the reason is too long: at most {MAX_WHY} characters")
        if "\0" in why:
            raise InvalidRequest("the reason holds a NUL, which cannot be kept")
        with self.database.writing() as connection:
            measurement_id = _one_measurement(connection, prefix)
            exclusion_rows.exclude(connection, measurement_id, why, time.time_ns())
        return measurement_id

    def include(self, prefix: str) -> str:
        """The id of what is used again. Raises NotFound and InvalidRequest."""
        with self.database.writing() as connection:
            measurement_id = _one_measurement(connection, prefix)
            exclusion_rows.include(connection, measurement_id, time.time_ns())
        return measurement_id

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """What each measurement says. Raises NotFound, and UnreadableRow for one of no use."""
        self.summaries.complete()
        return look_up(self.database, measurement_ids, self.fit)

    def find_device(self, wanted: str) -> str:
        """The serial of the device of that serial or transport. Raises NotFound."""
        with self.database.reading() as connection:
            serial = history_rows.find_device(connection, wanted)
        if serial is None:
            raise NotFound(f"no device {wanted!r}: `latlab lab status` lists them")
        return serial

    def workers_of(self, serial: str) -> list[DeviceWorker]:
        return [w for w in self.workers if w.device is not None and w.device.serial == serial]

    def servers_of(self, target_id: str) -> list[Server]:
        return [
            Server(worker.transport.name, worker.obstacle or _drift(worker, target_id))
            for worker in self.workers
            if target_id in worker.targets
        ]


def _one_measurement(connection: Connection, prefix: str) -> str:
    _check_prefix(prefix)
    match exclusion_rows.find(connection, prefix):
        case [measurement_id]:
            return measurement_id
        case []:
            raise NotFound(f"no measurement {prefix!r}: `latlab measurements list` shows them")
        case _:
            raise InvalidRequest(f"several measurements begin with {prefix!r}: give more of it")


def _check_prefix(prefix: str) -> None:
    if len(prefix) < exclusion_rows.MIN_PREFIX or not prefix.isalnum():
        raise InvalidRequest(
            f"{prefix[:80]!r} is no measurement's id: give it, or at least"
            f" {exclusion_rows.MIN_PREFIX} characters that it begins with"
        )


def _drift(worker: DeviceWorker, target_id: str) -> str:
    """Why the worker leaves the target's jobs alone, "" where it does not."""
    awake = worker.sentinels.awake([target_id])
    return "" if target_id in awake else "the target's sentinel has drifted"
