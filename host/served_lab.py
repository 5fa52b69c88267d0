"""What both services know: the database, the devices, the jobs, the predictors."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from host.board import JobBoard
from host.boards import checked_address
from host.database import devices as device_rows
from host.database import history as history_rows
from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.device_worker import DeviceWorker
from host.domain import Target
from host.errors import NotFound, NotReady
from host.fleet import Fleet
from host.predictors import Predictors
from host.program_store import ProgramStore
from host.sentinel import Watch
from host.summary import measured_estimate
from host.targets import find_target
from host.waiting import Server
from latency_models.estimate import LatencyEstimate
from latency_models.steadying import Steadying


class Lab:
    def __init__(
        self,
        database: Database,
        board: JobBoard,
        programs: ProgramStore,
        predictors: Predictors,
        fleet: Fleet,
        add_board: Callable[[str], None],
    ) -> None:
        self.database = database
        self.board = board
        self.programs = programs
        self.predictors = predictors
        self.add_board = add_board
        self._fleet = fleet

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

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """Raises NotFound."""
        with self.database.reading() as connection:
            found = measurement_rows.look_up(connection, measurement_ids)
            counts = device_rows.measurement_counts(connection)

        @functools.cache
        def steadying_of(target_id: str) -> Steadying:
            try:
                return self.predictors.get(target_id, counts[target_id]).predictor.steadying
            except NotReady:
                return Steadying.none()

        estimates = []
        for measurement_id in measurement_ids:
            if measurement_id not in found:
                raise NotFound(f"no measurement {measurement_id!r}")
            target_id, spec, network = found[measurement_id]
            # No predictor has learned of devices that are warm.
            steadying = Steadying.none() if spec.visit.is_sustained else steadying_of(target_id)
            estimates.append(measured_estimate(network, steadying, time.time_ns()))
        return estimates

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

    def measurement_count(self, target: Target) -> int:
        with self.database.reading() as connection:
            return device_rows.measurement_counts(connection).get(target.id, 0)


def _drift(worker: DeviceWorker, target_id: str) -> str:
    """Why the worker leaves the target's jobs alone, "" where it does not."""
    awake = worker.sentinels.awake([target_id])
    return "" if target_id in awake else "the target's sentinel has drifted"
