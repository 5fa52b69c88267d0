"""The part of the lab's client that is about jobs, which need no client to go on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import grpc

from latlab.client.measurements import MeasurementsClient
from latlab.client.requests.job_watch import WATCH_PATIENCE_S, WATCH_TIMEOUT_S, JobWatch
from latlab.client.requests.jobs import cancel_job, create_measurement, get_job
from latlab.client.requests.uploads import upload
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.job import JobStatus
from latlab.domain.program import Program, ProgramFile


class JobsClient(MeasurementsClient):
    """The calls about jobs. A job is given by its id or by its name, "jobs/" and its id."""

    def create_measurement(
        self,
        target: str,
        program: ProgramFile | Program | str,
        spec: BenchmarkSpec | None = None,
        *,
        fresh: bool = False,
        priority: int = 0,
    ) -> JobStatus:
        """Ask for a measurement, and return its job at once.

        Asking for the same program, target and spec joins the job that is open. What the lab has
        measured is returned as a job that has succeeded.

        Args:
            target: Id or name of the target.
            program: A file, which is uploaded first, or a program that the lab has, also by its
                SHA-256.
            spec: How to measure; None: as the lab does by default.
            fresh: Measure again what the lab has measured already.
            priority: Higher priorities come first, among the caller's own jobs.

        Raises:
            NotFound: There is no such target, or the lab does not have the program.
            TooLarge: A limit of the caller is used up, and stays so for longer than the client
                waits.
        """
        if not isinstance(program, str):
            self._calls.take(upload(program, reconnects=self._calls.reconnects))
        call = create_measurement(target, program, spec, fresh=fresh, priority=priority)
        return self._calls.make(call)

    def job(self, job: str) -> JobStatus:
        """Return a job, also one that has ended.

        Raises:
            NotFound: The caller has no such job.
        """
        return self._calls.make(get_job(job))

    def cancel_job(self, job: str) -> JobStatus:
        """End a job for its owner. One that others wait for goes on for them.

        Raises:
            NotFound: The caller has no such job.
        """
        return self._calls.make(cancel_job(job))

    def watch_jobs(
        self, jobs: Sequence[str] = (), *, patience_s: float = WATCH_PATIENCE_S
    ) -> Iterator[JobStatus]:
        """Yield the state of each job at once, and again whenever it changes.

        If the connection breaks off, the client connects again and goes on where it was. The end
        of a job may then be yielded twice.

        Args:
            jobs: The jobs, at most a thousand; it ends when all of them have ended. Without any it
                watches all open jobs of the caller, also those that are opened later, and does
                not end.
            patience_s: For how long the lab may be out of reach.

        Raises:
            NotFound: The caller has no such job.
            Unavailable: The lab was out of reach for longer, or it is this machine's own and has
                stopped.
            TooLarge: Too many jobs are named.
        """
        watch = JobWatch(jobs, patience_s, reconnects=self._calls.reconnects)
        while not watch.is_over:
            try:
                for answer in self._calls.open(watch.method, watch.request(), WATCH_TIMEOUT_S):
                    yield watch.take(answer)
                    if watch.is_over:
                        return
            except grpc.RpcError as error:
                wait_s = watch.wait_s(error)
                if wait_s is None:
                    raise self._calls.explained(error) from error
            else:
                wait_s = watch.wait_after_end_s()
            time.sleep(wait_s)
