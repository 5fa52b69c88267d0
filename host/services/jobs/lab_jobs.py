"""The jobs of the lab's clients, which outlive their calls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.database.owners import job_requests
from host.database.owners.ended_jobs import job_of_measurement
from host.database.owners.job_requests import JobRequest
from host.jobs.dispatcher import Dispatcher
from host.jobs.queue import Rank
from host.jobs.records import JobRecords
from host.predicting.summaries import Summarizer
from host.services.jobs.news import JobNews
from host.services.jobs.statuses import JobStatuses
from host.services.jobs.watching import JobWatching
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobStatus


@dataclass(frozen=True, slots=True)
class WantedMeasurement:
    """A measurement that a client wants.

    Attributes:
        target_id: Where it is measured.
        program_sha256: SHA-256 of an uploaded program.
        spec: How it is measured.
        fresh: Whether to measure again what the lab has measured already.
        priority: Jobs of a higher priority come first.
        request: The request, if it came with an id.
    """

    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    fresh: bool = False
    priority: int = 0
    request: JobRequest | None = None


class QueuePage(NamedTuple):
    """Some open jobs, the first in rank first, and how many there are in all."""

    jobs: list[tuple[JobStatus, Rank]]
    open_count: int
    is_last: bool


class LabJobs:
    """Creates, finds, watches and cancels jobs. Thread-safe.

    Attributes:
        watching: Serves those who watch jobs.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        statuses: JobStatuses,
        summarizer: Summarizer,
    ) -> None:
        self._database = database
        self._summarizer = summarizer
        self._dispatcher = dispatcher
        self._records = JobRecords(database)
        self._statuses = statuses
        news = JobNews(database, dispatcher, statuses)
        self.watching = JobWatching(dispatcher, statuses, news)

    def create(
        self,
        wanted: WantedMeasurement,
        caller: AccessToken,
        is_active: Callable[[], bool] = lambda: True,
    ) -> JobStatus:
        """Return the job of a measurement, which is opened unless there is one.

        Args:
            wanted: The measurement.
            caller: Who wants it.
            is_active: Returns False once the client has gone.

        Raises:
            NotFound: The program was never uploaded.
            InvalidRequest: The request's id came with another request.
        """
        self._summarizer.complete(is_active)
        job_id = self._requested(wanted.request)
        if job_id is None:
            try:
                job_id = self._ask(wanted, caller.owner)
            except IntegrityError:  # the same request was answered meanwhile
                job_id = self._requested(wanted.request)
                if job_id is None:
                    raise
        return self._statuses.find(job_id, caller)

    def get(self, job_id: str, caller: AccessToken) -> JobStatus:
        """Return a job of the caller, or of anybody if the caller may operate. Raises NotFound."""
        return self._statuses.find(job_id, caller)

    def cancel(self, job_id: str, caller: AccessToken) -> JobStatus:
        """End a job for its owner; altogether if no other owner waits for it.

        Whoever may operate the lab ends a job of others altogether. A job that has ended stays as
        it is. Raises NotFound.
        """
        self._statuses.find(job_id, caller)
        state = self._dispatcher.find(job_id)
        if state is not None:
            if caller.owner in state.owners:
                self._dispatcher.withdraw(state, caller.owner)
            elif caller.allows(Scope.OPERATE):
                why = Failure(FailureKind.CANCELLED, f"{caller.owner} cancelled it")
                self._dispatcher.end(state, why)
        return self._statuses.find(job_id, caller)

    def queue(
        self, suits: Callable[[str], bool], size: int, behind: Rank | None = None
    ) -> QueuePage:
        """Return a page of the open jobs, the first in rank first.

        Args:
            suits: Returns whether jobs of a target, given by its id, are listed.
            size: The most jobs of the page.
            behind: The rank of the last job of the page before; None for the first page.
        """
        ranked = self._statuses.view.ranked()
        suited = [(rank, state) for rank, state in ranked if suits(state.job.target_id)]
        begin = 0 if behind is None else bisect_right(suited, behind, key=itemgetter(0))
        jobs = [
            (self._statuses.of_open(state, min(state.owners, default="")), rank)
            for rank, state in suited[begin : begin + size]
        ]
        return QueuePage(jobs, len(suited), begin + size >= len(suited))

    def _requested(self, request: JobRequest | None) -> str | None:
        """Return the id of the job that the same request got before; None if it is new."""
        if request is None:
            return None
        with self._database.reading() as connection:
            return job_requests.find_job(connection, request)

    def _ask(self, wanted: WantedMeasurement, owner: str) -> str:
        target_id, sha256, spec = wanted.target_id, wanted.program_sha256, wanted.spec
        if not wanted.fresh:
            with self._database.reading() as connection:
                known = measurement_rows.find_measurement(connection, target_id, sha256, spec)
                if known is not None:
                    job_id = job_of_measurement(connection, known.id)
            if known is not None:
                self._records.join(job_id, owner, waits=True, request=wanted.request)
                return job_id
        return self._dispatcher.submit(
            target_id, sha256, spec, None, wanted.priority, owner, wanted.request
        ).id
