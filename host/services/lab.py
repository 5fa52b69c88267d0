"""The parts of the lab that both services serve, and the questions that need several of them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.database import devices as device_rows
from host.database.engine import Database
from host.database.maintenance.maintenance import Maintenance
from host.devices.administration import Administration
from host.devices.fleet import Fleet
from host.home.boards import checked_address
from host.jobs.campaign import Campaign, ProgramRequest
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import JobEvent
from host.predicting.blends import Blends
from host.predicting.estimates import (
    ProvisionalLatencies,
    current_steadying,
    measured_latency,
)
from host.predicting.measurement_store import MeasurementStore
from host.predicting.predictors import WAIT_S, Predictors
from host.predicting.summaries import STATISTIC, Summarizer
from host.predicting.target_facts import TargetFacts
from host.services.jobs.lab_jobs import LabJobs
from host.services.jobs.statuses import JobStatuses
from host.services.listing.lab_lists import LabLists
from host.services.predictions.program_answers import ProgramAnswers
from host.services.programs.lab_programs import LabPrograms
from host.services.requests.checks import check_text
from host.services.requests.page_tokens import PageTokens
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Measurement
from latlab.domain.program import Program
from latlab.domain.records.predictions import TargetDetails
from latlab.domain.target import Target, TargetStatus, find_target


class Lab:
    """The lab as its services see it. `describe` is as for `LabPrograms`."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        programs: ProgramStore,
        summarizer: Summarizer,
        predictors: Predictors,
        fleet: Fleet,
        add_board: Callable[[str], None],
        describe: Callable[[Program, Path], Program],
    ) -> None:
        self.dispatcher = dispatcher
        self.predictors = predictors
        self.fleet = fleet
        self.add_board = add_board
        self.measurements = MeasurementStore(database, summarizer, predictors)
        self.administration = Administration(database, fleet, dispatcher)
        self.programs = LabPrograms(database, dispatcher, programs, describe)
        statuses = JobStatuses(database, dispatcher, predictors, self.administration.serving)
        self.jobs = LabJobs(database, dispatcher, statuses, summarizer)
        self.answers = ProgramAnswers(database, predictors, self.programs.kernels)
        self.page_tokens = PageTokens(database.id)
        self.lists = LabLists(database)
        self._facts = TargetFacts(database, predictors)
        self.maintenance = Maintenance(database, programs.directory, STATISTIC, is_alone=False)
        self._blends = Blends(database, predictors)
        self._database = database
        self._summarizer = summarizer
        self._known_targets: list[Target] = []

    def remove_board(self, address: str) -> None:
        """Stop serving a board once its visit is over. Raises InvalidRequest."""
        self.fleet.remove(checked_address(address))

    def find_target(self, wanted: str) -> Target:
        """Return the target with this id or name.

        If several builds share a name, it is the one that a device serves now. The database is
        read only if the target is not known from earlier.

        Raises NotFound, and InvalidRequest for an ambiguous name.
        """
        check_text("the target", wanted, "target")
        served = [target for worker in self.fleet.workers for target in worker.targets.values()]
        try:
            return find_target(wanted, served, self._known_targets)
        except NotFound:
            with self._database.reading() as connection:
                self._known_targets = device_rows.all_targets(connection)
            return find_target(wanted, served, self._known_targets)

    def target_statuses(self) -> list[TargetStatus]:
        """Return the state of every target that the lab knows."""
        with self._database.reading() as connection:
            targets = self._known_targets = device_rows.all_targets(connection)
            counts = device_rows.measurement_counts(connection)
        return [self._status(target, counts.get(target.id, 0)) for target in targets]

    def target_details(self, wanted: str) -> TargetDetails:
        """Return what is known about the target with this id or name. Raises NotFound."""
        target = self.find_target(wanted)
        with self._database.reading() as connection:
            count = device_rows.measurement_counts(connection, target.id).get(target.id, 0)
        return self._facts.details(self._status(target, count))

    def predict(
        self,
        target: str,
        table: Sequence[Kernel],
        lengths: NDArray[np.int64],
        indices: NDArray[np.int64],
        *,
        min_measurements: int = 0,
        guess: bool = False,
        timeout_s: float = WAIT_S,
    ) -> list[LatencyEstimate]:
        """Return one estimate for each network, given in the form of `latlab.domain.kernel.pack`.

        Args:
            target: The target's id or name.
            table: (rows,) the distinct kernels.
            lengths: (networks,) how many kernels each network has.
            indices: (sum of lengths,) rows of the table, network after network.
            min_measurements: How many measurements the predictor must know.
            guess: Whether to guess the times of kernels of kinds that were never measured.
            timeout_s: How long to wait for a predictor that is still to be fitted.

        Raises:
            NotFound: There is no such target.
            NotReady: Too little was measured on the target, and no other target helps.
            UnknownKernelKinds: The predictor has never seen some kinds of kernels, and may not
                guess their times.
            InvalidRequest: Table, lengths and indices do not fit together.
        """
        is_fitted = self.predictors.find(target) is not None
        target_id = target if is_fitted else self.find_target(target).id
        predictor = self._blends.get(target_id, min_measurements, timeout_s)
        try:
            return predictor.predict(table, lengths, indices, time.time_ns(), guess=guess)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error

    def measure(
        self, requests: Iterable[ProgramRequest], is_active: Callable[[], bool], owner: str
    ) -> Iterator[JobEvent]:
        """Measure programs for an owner and yield the jobs' events, as `Campaign.run` does."""
        self._summarizer.complete(is_active)
        yield from Campaign(self._database, self.dispatcher, owner).run(requests, is_active)

    def outcomes(self) -> Callable[[Measurement], MeasuredLatency | Failure]:
        """Return a function that turns a campaign's measurements into the outcomes to report.

        It removes interference from the latencies. For all measurements of the campaign the
        correction is the one that the target's predictor has learned by now.
        """
        steadying_of = functools.cache(functools.partial(current_steadying, self.predictors))
        return lambda measurement: measured_latency(self._database, measurement, steadying_of)

    def provisional(self) -> ProvisionalLatencies:
        """Return what knows the latencies of a campaign's unfinished measurements."""
        return ProvisionalLatencies(self._database, self.predictors)

    def _status(self, target: Target, measurements: int) -> TargetStatus:
        workers = self.fleet.workers
        serving = [worker for worker in workers if target.id in worker.targets]
        snapshot = self.predictors.find(target.id)
        watches = filter(None, (worker.sentinels.watch(target.id) for worker in workers))
        # With several devices, the one whose sentinel is furthest off says more.
        watch = max(watches, key=lambda watch: watch.misses, default=None)
        return TargetStatus(
            target=target,
            devices=sum(worker.is_connected for worker in serving),
            measurements=measurements,
            fitted_measurements=0 if snapshot is None else snapshot.measurements,
            shares_host=any(worker.transport.shares_host for worker in serving),
            sentinel_drift=None if watch is None else watch.drift,
            drifted=watch is not None and watch.drifted,
        )
