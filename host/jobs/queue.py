"""Which visit comes next, and when a job has ended. Nothing here waits, reads or writes.

The highest priority comes first. Within it clients take turns on each device, visit by visit,
so that one with a thousand jobs holds up one with a single job by one visit at a time.

The visits of a client are interleaved over its programs, because a machine has moods that
last seconds: spread visits see several of them, a contiguous run sees one and looks steady.

Turns and rests are in the time of `time.monotonic_ns`: the wall clock may jump."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import replace
from heapq import merge
from itertools import chain, count, islice, zip_longest
from typing import Any

from host.jobs.job_state import JobState
from latlab.domain.program import Program

# Programs whose visits are interleaved: wide enough to spread a measurement over three
# minutes, and to end a campaign without stragglers, whose spaced visits leave the device
# idle; narrow enough that results keep coming.
WINDOW = 64


class JobQueue:
    """The open jobs. One that a device has taken is that device's alone until it is put back,
    so that many devices may serve a target; and what a device was asked is fetched from that
    device. Taking a job costs the same however many are open: they are kept in the order of
    their rank, and only the first are looked at.
    """

    def __init__(self) -> None:
        # By target and by client, the first in rank first. A job that several clients wait for
        # is with each of them; those that nobody waits for are together with None's.
        self._waiting: dict[str, dict[Hashable, list[JobState]]] = defaultdict(dict)
        self._resting: dict[str, list[JobState]] = defaultdict(list)  # by target, soonest first
        self._asked: dict[str, list[JobState]] = defaultdict(list)  # by the device's serial
        self._taken: set[JobState] = set()
        # Of every client the last turn on each device, by the device's serial.
        self._turns: dict[str, dict[Hashable, int]] = defaultdict(dict)
        self._next_turn = count(1)

    def add(self, state: JobState) -> None:
        if state.asked is not None:
            self._asked[state.device_serial].append(state)
        elif state.rests_until_ns:
            insort(self._resting[state.job.target_id], state, key=_waking)
        else:
            for client in state.clients or {None}:
                waiting = self._waiting[state.job.target_id].setdefault(client, [])
                insort(waiting, state, key=rank)

    def take(self, device_serial: str, target_ids: Collection[str], now_ns: int) -> JobState | None:
        """The job whose turn it is on the device, which serves `target_ids`: one with an
        unanswered run first; else, of the highest priority that neither rest nor are taken,
        and of the client that the device served longest ago, the longest unvisited of the
        `WINDOW` oldest."""
        self._wake(target_ids, now_ns)
        asked = (s for s in self._asked[device_serial] if s.job.target_id in target_ids)
        chosen = next(asked, None) or self._in_turn(device_serial, target_ids)
        if chosen is not None:
            self._unlist(chosen)
            self._taken.add(chosen)
        return chosen

    def take_asked(self, device_serial: str) -> list[tuple[JobState, str]]:
        """All with an unanswered run of the device, and its run_id."""
        asked = [
            (state, state.asked[0])
            for state in self._asked.pop(device_serial, [])
            if state.asked is not None
        ]
        self._taken.update(state for state, _ in asked)
        return asked

    def put_back(self, state: JobState) -> None:
        """One that has ended in the meantime stays away."""
        if state in self._taken:
            self._taken.remove(state)
            self.add(state)

    def remove(self, state: JobState) -> None:
        """Wherever it is."""
        self._taken.discard(state)
        self._unlist(state)

    def join(self, state: JobState, client: Hashable, priority: int) -> None:
        """The client waits for it too: it has its turn among the jobs of each, at the highest
        priority of all."""
        self._unlist(state)
        state.clients.add(client)
        state.job = replace(state.job, priority=max(priority, state.job.priority))
        self._list(state)

    def leave(self, state: JobState, client: Hashable) -> None:
        """The client waits for it no longer; others may."""
        self._unlist(state)
        state.clients.discard(client)
        self._list(state)

    def forget(self, client: Hashable) -> None:
        """One that waits for no job."""
        for turns in self._turns.values():
            turns.pop(client, None)

    def devices_asked(self) -> list[str]:
        """The serials of those with an unanswered run."""
        return [serial for serial, states in self._asked.items() if states]

    def is_taken(self, state: JobState) -> bool:
        return state in self._taken

    def next_rested_ns(self, target_ids: Iterable[str]) -> float:
        """When the first job that rests has rested; infinite if none does."""
        soonest = (self._resting[id][0] for id in target_ids if self._resting[id])
        return min((state.rests_until_ns for state in soonest), default=math.inf)

    def upcoming(self, target_ids: Iterable[str]) -> list[Program]:
        """Of the jobs whose turn comes soon and that were never visited, the first first."""
        by_client = self._by_client(target_ids, 2 * WINDOW).values()
        in_turn = chain.from_iterable(zip_longest(*(merge(*of, key=rank) for of in by_client)))
        soon = islice(dict.fromkeys(state for state in in_turn if state), 2 * WINDOW)
        return [state.program for state in soon if not state.last_asked_ns]

    def _in_turn(self, device_serial: str, target_ids: Iterable[str]) -> JobState | None:
        by_client = self._by_client(target_ids, WINDOW)
        if not by_client:
            return None
        highest = max(states[0].job.priority for of in by_client.values() for states in of)
        turns = self._turns[device_serial]
        client = min(
            (
                client
                for client, of in by_client.items()
                if any(states[0].job.priority == highest for states in of)
            ),
            key=lambda client: turns.get(client, 0),
        )
        turns[client] = next(self._next_turn)
        window = islice(merge(*by_client[client], key=rank), WINDOW)
        return min(
            (state for state in window if state.job.priority == highest),
            key=lambda state: state.last_asked_ns,
        )

    def _by_client(
        self, target_ids: Iterable[str], limit: int
    ) -> dict[Hashable, list[list[JobState]]]:
        """Of each client that has jobs waiting, the first of every target; no list is empty."""
        found: dict[Hashable, list[list[JobState]]] = defaultdict(list)
        for target_id in target_ids:
            for client, states in self._waiting[target_id].items():
                found[client].append(states[:limit])
        return found

    def _wake(self, target_ids: Iterable[str], now_ns: int) -> None:
        for target_id in target_ids:
            resting = self._resting[target_id]
            while resting and resting[0].rests_until_ns <= now_ns:
                woken = resting.pop(0)
                woken.rests_until_ns = 0
                self.add(woken)

    def _list(self, state: JobState) -> None:
        """Unless it is taken: then it is listed when it is put back."""
        if state not in self._taken:
            self.add(state)

    def _unlist(self, state: JobState) -> None:
        if state in self._asked[state.device_serial]:
            self._asked[state.device_serial].remove(state)
        _delete(self._resting[state.job.target_id], state, _waking)
        waiting = self._waiting[state.job.target_id]
        for client in state.clients or {None}:
            if client in waiting:
                _delete(waiting[client], state, rank)
                if not waiting[client]:
                    del waiting[client]


def _delete(states: list[JobState], state: JobState, key: Callable[[JobState], Any]) -> None:
    place = bisect_left(states, key(state), key=key)
    if place < len(states) and states[place] is state:
        del states[place]


def rank(state: JobState) -> tuple[int, int, str]:
    """The lowest comes first."""
    return -state.job.priority, state.job.created_unix_ns, state.job.id


def _waking(state: JobState) -> tuple[int, str]:
    return state.rests_until_ns, state.job.id
