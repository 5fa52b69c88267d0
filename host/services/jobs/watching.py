"""Serve one client that watches jobs: from what it knows already to the end of its stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from host.jobs.dispatcher import Dispatcher
from host.services.jobs.news import JobNews
from host.services.jobs.statuses import JobStatuses
from host.services.requests.page_tokens import Position
from latlab.domain.access.token import AccessToken
from latlab.domain.job import JobStatus


@dataclass(frozen=True, slots=True)
class Told:
    """The status of a job, and where a later stream goes on behind it."""

    status: JobStatus
    position: Position


class JobWatching:
    """Watches jobs for clients. A stream holds the thread of its call, which sleeps meanwhile.

    News wake up hundreds of these threads at once. They take turns to find out what to tell, or
    else all other calls would wait for Python behind them.
    """

    def __init__(self, dispatcher: Dispatcher, statuses: JobStatuses, news: JobNews) -> None:
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._news = news
        self._turn = threading.Lock()

    def watch_named(
        self,
        job_ids: Sequence[str],
        caller: AccessToken,
        position: Position | None,
        when_left: Callable[[Callable[[], None]], None],
    ) -> Iterator[Told]:
        """Yield the states of some jobs until all of them have ended.

        Args:
            job_ids: The jobs, each once.
            caller: Who watches.
            position: Where an earlier stream of the same jobs stopped: which of them had ended.
            when_left: Has a function called when the client has gone.

        Raises:
            NotFound: The caller has no such job.
        """
        places = {job_id: place for place, job_id in enumerate(job_ids)}
        ended = 0 if position is None else int(str(position[0]), 16)  # a bit for each job
        shown: dict[str, int] = {}
        with self._news.watch(frozenset(job_ids), caller.owner) as watcher:
            when_left(watcher.close)
            due: Sequence[str] = job_ids
            while True:
                for job_id in due:
                    if ended >> places[job_id] & 1:
                        continue
                    status = self._find(job_id, caller)
                    if status.phase.has_ended:
                        ended |= 1 << places[job_id]
                        shown.pop(job_id, None)
                    elif not _is_new(status, shown):
                        continue
                    yield Told(status, [f"{ended:x}"])
                if ended == (1 << len(job_ids)) - 1:
                    return
                news = watcher.wait()
                if news is None:
                    return
                due, _ = news

    def watch_owner(
        self,
        caller: AccessToken,
        position: Position | None,
        when_left: Callable[[Callable[[], None]], None],
    ) -> Iterator[Told]:
        """Yield the states of the caller's jobs for as long as the client listens.

        The ends come in the order of their numbers, so that a position holds the last one alone.

        Args:
            caller: Whose jobs are watched.
            position: Where an earlier stream stopped: the number of the last end.
            when_left: Has a function called when the client has gone.
        """
        owner = caller.owner
        shown: dict[str, int] = {}
        with self._news.watch(None, owner) as watcher:
            when_left(watcher.close)
            number = self._news.newest_number() if position is None else int(position[0])
            due = [state.job.id for state in self._news.open_jobs_of(owner)]
            until = self._news.newest_number()
            while True:
                while number < until and (ends := self._news.ends_between(number, until, owner)):
                    for end in ends:
                        number = end.number
                        shown.pop(end.job_id, None)
                        with self._turn:
                            ended = self._statuses.ended(end.job_id, caller)
                        if ended is not None:  # or else its owner has asked for it again
                            yield Told(ended, [number])
                number = max(number, until)
                for job_id in due:
                    if self._dispatcher.find(job_id) is None:
                        continue  # its end comes in its turn
                    status = self._find(job_id, caller)
                    if not status.phase.has_ended and _is_new(status, shown):
                        yield Told(status, [number])
                news = watcher.wait(number)
                if news is None:
                    return
                due, until = news

    def _find(self, job_id: str, caller: AccessToken) -> JobStatus:
        with self._turn:
            return self._statuses.find(job_id, caller, self._news.place(job_id))


def _is_new(status: JobStatus, shown: dict[str, int]) -> bool:
    """Note what is shown of an open job. Returns whether it differs from what was shown before."""
    seen: tuple[Any, ...] = (
        status.phase,
        status.ahead,
        status.wait_reason,
        status.waits_for,
        status.visits_done,
        status.priority,
    )
    known, shown[status.id] = shown.get(status.id), hash(seen)
    return known != shown[status.id]
