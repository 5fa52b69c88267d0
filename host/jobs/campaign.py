"""One client's stream of programs to measure, and the stream of what becomes of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from host.database import measurements as measurement_rows
from host.database.engine import Database
from host.jobs.dispatcher import JobBoard
from host.jobs.events import JobEvent, Progress
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.domain.target import Target

MAX_PROGRAMS = 10_000
EVENT_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the lab holds already is measured again only if `fresh`."""

    target: Target
    program_sha256: str
    spec: BenchmarkSpec
    fresh: bool = False
    priority: int = 0


class Campaign:
    """Programs are named in one thread while events are told in another, so that the first
    are measured while the client still exports the last."""

    def __init__(self, database: Database, board: JobBoard) -> None:
        self._database = database
        self._board = board
        self._events: queue.SimpleQueue[JobEvent | Exception | None] = queue.SimpleQueue()
        self._named: set[str] = set()

    def run(
        self,
        wanted: Iterable[Wanted],
        is_active: Callable[[], bool],
    ) -> Iterator[JobEvent]:
        """Progress, and one Measurement or Failure for each distinct program, until all
        have ended or the client has gone.

        wanted: read in a thread of its own. Raises
        what it raises, NotFound for a program that was never uploaded, and InvalidRequest
        above MAX_PROGRAMS.
        """
        threading.Thread(target=self._name_all, args=[wanted], daemon=True).start()
        all_named, ended = False, 0
        try:
            while is_active() and not (all_named and ended == len(self._named)):
                try:
                    event = self._events.get(timeout=EVENT_POLL_S)
                except queue.Empty:
                    continue
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    all_named = True
                    continue
                ended += not isinstance(event.event, Progress)
                yield event
        finally:
            self._board.unsubscribe(self._events)

    def _name_all(self, wanted: Iterable[Wanted]) -> None:
        try:
            for one in wanted:
                if one.program_sha256 not in self._named:
                    self._name(one)
        except Exception as error:  # unsaid, it would leave the client waiting for ever
            self._events.put(error)
        else:
            self._events.put(None)

    def _name(self, wanted: Wanted) -> None:
        target_id, sha256, spec = wanted.target.id, wanted.program_sha256, wanted.spec
        if len(self._named) == MAX_PROGRAMS:
            raise InvalidRequest(f"a campaign has at most {MAX_PROGRAMS} programs")
        self._named.add(sha256)
        known = None
        if not wanted.fresh:
            with self._database.reading() as connection:
                known = measurement_rows.find_measurement(connection, target_id, sha256, spec)
        if known is None:
            self._board.submit(target_id, sha256, spec, self._events, wanted.priority)
        else:
            self._events.put(JobEvent(sha256, known))
