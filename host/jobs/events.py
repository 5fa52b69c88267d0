"""Events that report to clients how the jobs that they submitted get on."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from host.jobs.job_state import JobState
from latlab.domain.access.token import LOCAL_OWNER
from latlab.domain.failure import Failure
from latlab.domain.job import Job
from latlab.domain.measurement import Measurement, Visit
from latlab.domain.program import Program

# Measurements that a queue holds whole, with all their samples.
WHOLE_MEASUREMENTS = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """A visit of a job has ended, or a client has joined a job that has visits.

    Attributes:
        job: The job.
        program: The program that it measures.
        visits: Its visits so far that brought samples.
    """

    job: Job
    program: Program
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """News of the job that measures a program: its progress, or its outcome at its end."""

    program_sha256: str
    event: Progress | Measurement | Failure


def progress_event(state: JobState) -> JobEvent:
    """Return the event that reports the visits that a job has by now."""
    progress = Progress(state.job, state.program, tuple(state.visits))
    return JobEvent(state.job.program_sha256, progress)


@dataclass(frozen=True, slots=True)
class _Measured:
    """The event of a measurement that is to be read from the database."""

    program_sha256: str
    measurement_id: str


class EventQueue:
    """The events that a client has not read yet: the newest of each of its programs.

    Besides events it carries the end of the client's requests: None, or what was raised.

    Putting never waits. However slowly the client reads, the queue holds one event for each
    program: a newer one takes its place. It keeps no more than WHOLE_MEASUREMENTS measurements,
    and reads the others from the database when the client asks for them.
    """

    def __init__(
        self, read: Callable[[str], Measurement | Failure], owner: str = LOCAL_OWNER
    ) -> None:
        """Make an empty queue.

        Args:
            read: Returns the stored measurement of an id, or why it cannot be read.
            owner: Whose turn the client shares.
        """
        self.owner = owner
        self._read = read
        self._changed = threading.Condition()
        # By program; the end of the requests by "".
        self._waiting: dict[str, JobEvent | _Measured | Exception | None] = {}
        self._whole = 0

    def put(self, item: JobEvent | Exception | None) -> None:
        """Add an event in place of an earlier one of its program, or the end."""
        with self._changed:
            if not isinstance(item, JobEvent):
                self._waiting[""] = item
            elif not isinstance(item.event, Measurement):
                self._waiting[item.program_sha256] = item
            elif self._whole < WHOLE_MEASUREMENTS:
                self._waiting[item.program_sha256] = item
                self._whole += 1
            else:
                self._waiting[item.program_sha256] = _Measured(item.program_sha256, item.event.id)
            self._changed.notify()

    def get(self, timeout: float) -> JobEvent | Exception | None:
        """Remove and return what has waited longest. Raises queue.Empty if nothing comes."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, timeout):
                raise queue.Empty
            item = self._waiting.pop(next(iter(self._waiting)))
            if isinstance(item, JobEvent) and isinstance(item.event, Measurement):
                self._whole -= 1
        if isinstance(item, _Measured):
            return JobEvent(item.program_sha256, self._read(item.measurement_id))
        return item


class Listeners:
    """The queues of the clients that listen to each job. All methods need the caller's lock."""

    def __init__(self) -> None:
        self._queues: dict[str, list[EventQueue]] = defaultdict(list)  # by the job's id

    def add(self, job_id: str, queue: EventQueue | None) -> None:
        """Let a queue, if there is one, receive the events of a job."""
        if queue is not None:
            self._queues[job_id].append(queue)

    def remove(self, queue: EventQueue) -> None:
        """Send a queue no more events."""
        for queues in self._queues.values():
            if queue in queues:
                queues.remove(queue)

    def tell(self, job_id: str, event: JobEvent) -> None:
        """Send an event of a job to those who listen to it."""
        for listening in self._queues.get(job_id, ()):
            listening.put(event)

    def end(self, job_id: str, event: JobEvent) -> None:
        """Send the last event of a job."""
        self.tell(job_id, event)
        self._queues.pop(job_id, None)
