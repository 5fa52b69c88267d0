"""Measure the programs that one client names, and report what becomes of them."""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.jobs.dispatcher import Dispatcher
from host.jobs.events import EventQueue, JobEvent, Progress
from latlab.domain.access.token import LOCAL_OWNER
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest, UnreadableRow
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Measurement
from latlab.domain.target import Target

MAX_PROGRAMS = 10_000
EVENT_POLL_S = 1.0
# A client may be silent for so long while none of its programs is measured.
IDLE_S = 3600.0


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    """A program to measure on a target.

    Attributes:
        target: Where it is measured.
        program_sha256: SHA-256 of an uploaded program.
        spec: How it is measured.
        fresh: Whether to measure again what the lab has measured already.
        priority: Jobs of a higher priority come first.
        pause_when_left: Whether the client's jobs that no other client waits for pause when the
            client leaves.
    """

    target: Target
    program_sha256: str
    spec: BenchmarkSpec
    fresh: bool = False
    priority: int = 0
    pause_when_left: bool = False


class Campaign:
    """The jobs of one client.

    Requests are read in one thread while events are reported in another, so that the first
    programs are measured while the client still exports the last.
    """

    def __init__(
        self, database: Database, dispatcher: Dispatcher, owner: str = LOCAL_OWNER
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._owner = owner
        # No method of its own: the queue holds measurements, and objects in a cycle live until the
        # next full garbage collection.
        self._events = EventQueue(functools.partial(_stored, database), owner)
        self._requested: set[str] = set()  # programs by SHA-256
        self._pause_when_left = False

    def run(
        self, requests: Iterable[ProgramRequest], is_active: Callable[[], bool]
    ) -> Iterator[JobEvent]:
        """Yield progress, and one Measurement or Failure for each distinct program.

        It ends when all jobs have ended or the client has gone.

        Args:
            requests: Read in a thread of its own. What it raises is raised here.
            is_active: Returns False once the client has gone.

        Raises:
            NotFound: A program was never uploaded.
            InvalidRequest: There are more than MAX_PROGRAMS programs, or the client named none
                for IDLE_S while none was measured.
        """
        # The requests are read as those of the caller, who is known by the thread's context.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=[self._read, requests], daemon=True).start()
        all_requested, ended, heard_s = False, 0, time.monotonic()
        try:
            while is_active() and not (all_requested and ended == len(self._requested)):
                try:
                    event = self._events.get(timeout=EVENT_POLL_S)
                except queue.Empty:
                    is_idle = ended == len(self._requested)
                    if is_idle and time.monotonic() > heard_s + IDLE_S:
                        raise InvalidRequest(
                            f"no program was named for {IDLE_S:g} s: measure again with programs"
                        ) from None
                    continue
                heard_s = time.monotonic()
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    all_requested = True
                    continue
                ended += not isinstance(event.event, Progress)
                yield event
        finally:
            self._dispatcher.unsubscribe(self._events, pause=self._pause_when_left)

    def _read(self, requests: Iterable[ProgramRequest]) -> None:
        try:
            for request in requests:
                if request.program_sha256 not in self._requested:
                    self._submit(request)
        except Exception as error:  # without it the client would wait for ever
            self._events.put(error)
        else:
            self._events.put(None)

    def _submit(self, request: ProgramRequest) -> None:
        target_id, sha256, spec = request.target.id, request.program_sha256, request.spec
        if len(self._requested) == MAX_PROGRAMS:
            raise InvalidRequest(
                f"a campaign has at most {MAX_PROGRAMS} programs: measure the others in another",
                "program_sha256",
            )
        self._requested.add(sha256)
        self._pause_when_left |= request.pause_when_left
        known = None
        if not request.fresh:
            with self._database.reading() as connection:
                known = measurement_rows.find_measurement(connection, target_id, sha256, spec)
        if known is None:
            self._dispatcher.submit(
                target_id, sha256, spec, self._events, request.priority, self._owner
            )
        else:
            self._events.put(JobEvent(sha256, known))


def _stored(database: Database, measurement_id: str) -> Measurement | Failure:
    try:
        with database.reading() as connection:
            found = measurement_rows.get_measurement(connection, measurement_id)
    except UnreadableRow as error:
        return Failure(FailureKind.AGENT_ERROR, str(error))
    assert found is not None  # measurements are never deleted
    return found
