"""Tell those who watch jobs which of them have changed. One thread looks for all of them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from host.database.engine import Database
from host.database.owners import job_owners
from host.database.owners.job_owners import JobEnd
from host.jobs.dispatcher import Dispatcher
from host.jobs.job_state import JobState
from host.services.jobs.queue_view import Place
from host.services.jobs.statuses import JobStatuses
from latlab.domain.errors import StorageError

# Changes within this time are one.
INTERVAL_S = 0.5
LOOKING_SHARE = 0.05  # of the time
# So often the database is asked for jobs that another lab on it has ended.
OTHERS_S = 10.0
KEPT_ENDS = 4_096  # in memory: a client that reads slowly is told of older ones from the database
PAGE = 256

log = logging.getLogger(__name__)


class Watcher:
    """The jobs that one client watches, and those that have changed since it last asked.

    Its memory is bounded by the open jobs that it watches, however slowly the client reads.

    Attributes:
        job_ids: The jobs; None: those of the owner.
        owner: Whose jobs, if they are not named.
    """

    def __init__(self, job_ids: frozenset[str] | None, owner: str) -> None:
        self.job_ids = job_ids
        self.owner = owner
        self._condition = threading.Condition()
        self._changed: dict[str, None] = {}
        self._number = 0
        self._is_closed = False

    def tell(self, changed: Collection[str], number: int = 0) -> None:
        """Note jobs that have changed, and up to which number jobs may have ended."""
        if not changed and not number:
            return
        with self._condition:
            self._changed.update(dict.fromkeys(changed))
            self._number = max(self._number, number)
            self._condition.notify()

    def close(self) -> None:
        """Let the client wait no longer: it has gone."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def wait(self, number: int = 0) -> tuple[list[str], int] | None:
        """Wait until something has changed, or jobs may have ended behind the number.

        Returns the jobs that have changed, and the number up to which jobs have ended; None once
        the client has gone.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._changed or self._number > number or self._is_closed
            )
            changed, self._changed = list(self._changed), {}
            return None if self._is_closed else (changed, max(self._number, number))


class JobNews:
    """Compares the queue with what it was, while somebody watches. Thread-safe."""

    def __init__(self, database: Database, dispatcher: Dispatcher, statuses: JobStatuses) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._touched: set[str] = set()  # jobs that have ended since the last look
        self._ends: deque[JobEnd] = deque(maxlen=KEPT_ENDS)
        self._ends_from = -1  # all ends behind this number are kept; -1: nothing is known yet
        self._number = -1  # of the last end that was read
        self._keys: dict[str, tuple[Any, ...]] = {}
        self._places: dict[str, Place] = {}
        self._read_s = 0.0
        self._is_running = False
        dispatcher.on_end = self._job_ended

    @contextmanager
    def watch(self, job_ids: frozenset[str] | None, owner: str) -> Iterator[Watcher]:
        """Watch some jobs, or all of an owner, until the block ends."""
        watcher = Watcher(job_ids, owner)
        with self._lock:
            self._watchers.add(watcher)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="job-news", daemon=True).start()
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def place(self, job_id: str) -> Place | None:
        """Return the place of an open job at the last look, or right now if nobody watched it.

        Who is shown this place is told when another one is seen. Returns None if it has ended.
        """
        if (place := self._places.get(job_id)) is None:
            state = self._dispatcher.find(job_id)
            if state is not None:
                place = self._statuses.view.place(state)
                with self._lock:
                    self._keys[job_id], self._places[job_id] = _key(state, place), place
        return place

    def open_jobs_of(self, owner: str) -> list[JobState]:
        """Return the open jobs that an owner has asked for and not cancelled."""
        return [state for state in self._dispatcher.all_states() if owner in state.owners]

    def newest_number(self) -> int:
        """Return the number of the last end. Raises StorageError."""
        with self._database.reading() as connection:
            return job_owners.newest_number(connection)

    def ends_between(self, number: int, until: int, owner: str) -> Sequence[JobEnd]:
        """Return the first ends of an owner's jobs behind a number, in order.

        None of them up to the number `until` is left out, but for those that follow the last one
        returned. Raises StorageError.
        """
        with self._lock:
            if 0 <= self._ends_from <= number and until <= self._number:
                behind = (end for end in self._ends if end.number > number)
                return [end for end in behind if end.owner == owner][:PAGE]
        with self._database.reading() as connection:
            return job_owners.ends_after(connection, number, PAGE, owner)

    def _job_ended(self, job_id: str) -> None:
        with self._lock:
            if self._is_running:
                self._touched.add(job_id)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._watchers:
                    self._forget()
                    self._is_running = False
                    return
            started_s = time.monotonic()
            try:
                self._look()
            except StorageError as error:
                log.warning("jobs cannot be watched at present: %s", error)
            except Exception:  # all who watch wait for this thread
                log.exception("jobs cannot be watched")
            took_s = time.monotonic() - started_s
            time.sleep(max(INTERVAL_S, took_s / LOOKING_SHARE))

    def _forget(self) -> None:
        """Start anew with the next watcher: meanwhile nobody keeps track of changes."""
        self._keys, self._places, self._touched = {}, {}, set()
        self._ends.clear()
        self._number = self._ends_from = -1

    def _look(self) -> None:
        """Tell the watchers what has changed since the last look."""
        with self._lock:
            touched, self._touched = self._touched, set()
            watchers = list(self._watchers)
        try:
            states = self._watched(watchers)
            places = {id_: self._statuses.view.place(state) for id_, state in states.items()}
            keys = {id_: _key(state, places[id_]) for id_, state in states.items()}
            numbers, everybody = self._read_ends(bool(touched))
        except Exception:
            with self._lock:
                self._touched |= touched  # they are told the next time
            raise
        with self._lock:
            changed = {id_ for id_, key in keys.items() if self._keys.get(id_) != key}
            changed |= (self._keys.keys() - keys.keys()) | touched
            self._keys, self._places = keys, places
        by_owner: dict[str, list[str]] = defaultdict(list)
        for id_, state in states.items():
            for owner in tuple(state.owners) if id_ in changed else ():
                by_owner[owner].append(id_)
        for watcher in watchers:
            if watcher.job_ids is not None:
                watcher.tell(watcher.job_ids & changed)
            else:
                number = numbers.get(watcher.owner, everybody)
                watcher.tell(by_owner.get(watcher.owner, ()), number)

    def _watched(self, watchers: Iterable[Watcher]) -> dict[str, JobState]:
        """Return the open jobs that somebody watches, by id."""
        states: dict[str, JobState] = {}
        for owner in {watcher.owner for watcher in watchers if watcher.job_ids is None}:
            states |= {state.job.id: state for state in self.open_jobs_of(owner)}
        named = {id_ for watcher in watchers for id_ in watcher.job_ids or ()}
        found = map(self._dispatcher.find, named - states.keys())
        return states | {state.job.id: state for state in found if state is not None}

    def _read_ends(self, is_due: bool) -> tuple[dict[str, int], int]:
        """Read the ends that were stored since the last look.

        Returns the number of the last end of each owner, and that of all other owners: 0 unless
        they are to look for themselves.
        """
        if self._number < 0:
            self._number = self._ends_from = self.newest_number()
            return {}, self._number
        if not is_due and time.monotonic() < self._read_s + OTHERS_S:
            return {}, 0
        self._read_s = time.monotonic()
        with self._database.reading() as connection:
            found = list(job_owners.ends_after(connection, self._number, KEPT_ENDS))
        if len(found) == KEPT_ENDS:  # there are more than are kept
            with self._lock:
                self._forget()
            return {}, found[-1].number
        with self._lock:
            dropped = len(self._ends) + len(found) - KEPT_ENDS
            if dropped > 0:
                self._ends_from = (*self._ends, *found)[dropped - 1].number
            self._ends.extend(found)
            self._number = found[-1].number if found else self._number
        return {end.owner: end.number for end in found}, 0


def _key(state: JobState, place: Place) -> tuple[Any, ...]:
    """Return what of an open job is worth telling."""
    position = place.position
    return (
        position.is_taken,
        position.awaited_from,
        position.rests,
        position.is_paused,
        _coarse(position.ahead),
        len(state.visits),
        state.job.priority,
        len(state.owners),
        [bool(device.obstacle) for device in place.serving],
    )


def _coarse(ahead: int) -> int:
    """Return a number that changes where a place in the queue has changed by about a tenth.

    Whenever a job ends, all places behind it change. One place more is no news far behind.
    """
    return ahead if ahead < 10 else 10 + int(20 * math.log10(ahead / 10))
