"""Decide which job gets the next visit. Nothing here waits, reads or writes.

Owners take turns on each device, visit by visit, and so do the clients of one owner. So an owner
with fifty clients, or a client with a thousand jobs, delays another one by one visit at a time.
Priorities count among the jobs of one owner: those of the highest come first.

The visits of a client are interleaved over its programs. A machine is slower for some seconds
and faster for others: visits that are spread out see both, and a contiguous run sees only one.

Turns and rests are in the time of `time.monotonic_ns`, because the wall clock may jump.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from heapq import merge
from itertools import chain, count, islice, zip_longest
from typing import Any, TypeAlias

from host.jobs.job_state import JobState
from latlab.domain.program import Program

# Programs whose visits are interleaved: wide enough to spread a measurement over three
# minutes, and to end a campaign without stragglers, whose spaced visits leave the device
# idle; narrow enough that results keep coming.
WINDOW = 64

Rank: TypeAlias = tuple[int, int, str]


class JobQueue:
    """The open jobs in the order in which devices take them.

    A job that a device has taken belongs to it until it is put back, so several devices may
    serve a target. A run that was asked for is fetched from the device that was asked. Taking a
    job costs the same however many are open: they are sorted, and only the first are looked at.
    """

    def __init__(self) -> None:
        # By target and by client, in the order of rank. A job that several clients wait for is in
        # the list of each. Jobs that nobody waits for are in the list of None.
        self._waiting: dict[str, dict[Hashable, list[JobState]]] = defaultdict(dict)
        self._resting: dict[str, list[JobState]] = defaultdict(list)  # by target, soonest first
        self._asked: dict[str, list[JobState]] = defaultdict(list)  # by the device's serial
        self._taken: set[JobState] = set()
        # The ranks of a target's jobs that are not paused, in order, taken or not.
        self._ranks: dict[str, list[Rank]] = defaultdict(list)
        self._ranked: dict[JobState, Rank] = {}
        # The last turn of each client on a device, by the device's serial, and that of each owner,
        # which outlives its clients: an owner gains nothing by connecting again.
        self._turns: dict[str, dict[Hashable, int]] = defaultdict(dict)
        self._owner_turns: dict[str, dict[Hashable, int]] = defaultdict(dict)
        self._next_turn = count(1)

    def add(self, state: JobState) -> None:
        """Add a job that no device has taken."""
        self._note_rank(state)
        if state.asked is not None:
            self._asked[state.device_serial].append(state)
        elif state.is_paused:
            return  # until a client joins it
        elif state.rests_until_ns:
            insort(self._resting[state.job.target_id], state, key=_waking)
        else:
            for client in state.clients or {None}:
                waiting = self._waiting[state.job.target_id].setdefault(client, [])
                insort(waiting, state, key=rank)

    def take(self, device_serial: str, target_ids: Collection[str], now_ns: int) -> JobState | None:
        """Take the job whose turn it is on the device; None if there is none.

        A job with an unanswered run of the device comes first. Otherwise it is a job of the owner
        that the device served longest ago, of the highest priority among the owner's, and of the
        client that was served longest ago: the one among the `WINDOW` oldest that was visited
        longest ago, or one that is within a pair of visits. Jobs that rest or are taken do not
        count.

        Args:
            device_serial: The device's serial.
            target_ids: The targets whose jobs it takes.
            now_ns: The time.
        """
        self._wake(target_ids, now_ns)
        asked = (s for s in self._asked[device_serial] if s.job.target_id in target_ids)
        chosen = next(asked, None) or self._in_turn(device_serial, target_ids)
        if chosen is not None:
            self._unlist(chosen)
            self._taken.add(chosen)
        return chosen

    def take_asked(self, device_serial: str) -> list[tuple[JobState, str]]:
        """Take all jobs with an unanswered run of the device; return each with its run_id."""
        asked = [
            (state, state.asked[0])
            for state in self._asked.pop(device_serial, [])
            if state.asked is not None
        ]
        self._taken.update(state for state, _ in asked)
        return asked

    def put_back(self, state: JobState) -> None:
        """Let any device take the job again, unless it has ended."""
        if state in self._taken:
            self._taken.remove(state)
            self.add(state)

    def remove(self, state: JobState) -> None:
        """Remove a job, taken or not."""
        self._taken.discard(state)
        self._unlist(state)
        self._forget_rank(state)

    def join(self, state: JobState, client: Hashable, priority: int) -> None:
        """Let one more client wait for the job, which has the highest priority of its clients."""
        self._unlist(state)
        state.paused_ns = 0
        state.clients.add(client)
        state.job = replace(state.job, priority=max(priority, state.job.priority))
        self._list(state)

    def leave(self, state: JobState, client: Hashable, paused_ns: int = 0) -> None:
        """Let the client wait for the job no longer. Others may still wait for it.

        Args:
            state: The job.
            client: Who waits for it no longer.
            paused_ns: The time, if the job is to pause when nobody waits for it; else 0.
        """
        self._unlist(state)
        state.clients.discard(client)
        if not state.clients:
            state.paused_ns = paused_ns
        self._list(state)

    def forget(self, client: Hashable, states: Iterable[JobState] = (), paused_ns: int = 0) -> None:
        """Forget the turns of a client, who waits for none of the jobs any longer.

        Args:
            client: The client.
            states: The jobs that it may wait for.
            paused_ns: As for `leave`.
        """
        for state in states:
            if client in state.clients:
                self.leave(state, client, paused_ns)
        for turns in self._turns.values():
            turns.pop(client, None)

    def devices_asked(self) -> list[str]:
        """Return the serials of devices with an unanswered run."""
        return [serial for serial, states in self._asked.items() if states]

    def ahead(self, state: JobState) -> int:
        """Return how many jobs of its target have a higher rank and are not paused."""
        return bisect_left(self._ranks[state.job.target_id], rank(state))

    def is_taken(self, state: JobState) -> bool:
        """Return whether a device has taken the job."""
        return state in self._taken

    def next_rested_ns(self, target_ids: Iterable[str]) -> float:
        """Return when the first resting job has rested; infinity if no job rests."""
        soonest = (self._resting[id][0] for id in target_ids if self._resting[id])
        return min((state.rests_until_ns for state in soonest), default=math.inf)

    def upcoming(self, target_ids: Iterable[str]) -> list[Program]:
        """Return the programs of unvisited jobs whose turn comes soon, in their order."""
        by_owner: dict[Hashable, list[Iterable[JobState]]] = defaultdict(list)
        for client, by_target in self._by_client(target_ids, 2 * WINDOW).items():
            by_owner[owner_of(client)].append(merge(*by_target, key=rank))
        in_turn = _alternating([_alternating(ranked) for ranked in by_owner.values()])
        soon = islice(dict.fromkeys(in_turn), 2 * WINDOW)
        return [state.program for state in soon if not state.last_asked_ns]

    def _in_turn(self, device_serial: str, target_ids: Iterable[str]) -> JobState | None:
        by_client = self._by_client(target_ids, WINDOW)
        if not by_client:
            return None
        owner = _served_longest_ago(self._owner_turns[device_serial], map(owner_of, by_client))
        of_owner = {
            client: max(states[0].job.priority for states in by_target)
            for client, by_target in by_client.items()
            if owner_of(client) == owner
        }
        highest = max(of_owner.values())
        turns = self._turns[device_serial]
        client = _served_longest_ago(
            turns, (client for client, priority in of_owner.items() if priority == highest)
        )
        turns[client] = self._owner_turns[device_serial][owner] = next(self._next_turn)
        window = islice(merge(*by_client[client], key=rank), WINDOW)
        return min(
            (state for state in window if state.job.priority == highest),
            key=lambda state: (not state.is_within_pair, state.last_asked_ns),
        )

    def _by_client(
        self, target_ids: Iterable[str], limit: int
    ) -> dict[Hashable, list[list[JobState]]]:
        """Return the first waiting jobs of each client, a list for each target. No list is
        empty."""
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
        """List the job, unless it is taken. Then it is listed when it is put back."""
        if state in self._taken:
            self._note_rank(state)
        else:
            self.add(state)

    def _note_rank(self, state: JobState) -> None:
        new = None if state.is_paused else rank(state)
        if new != self._ranked.get(state):
            self._forget_rank(state)
            if new is not None:
                insort(self._ranks[state.job.target_id], new)
                self._ranked[state] = new

    def _forget_rank(self, state: JobState) -> None:
        if (known := self._ranked.pop(state, None)) is not None:
            ranks = self._ranks[state.job.target_id]
            del ranks[bisect_left(ranks, known)]

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


def owner_of(client: Hashable) -> Hashable:
    """Return the owner whose turn a client shares.

    A client of the services knows its owner. The jobs that nobody waits for share one turn.
    """
    return getattr(client, "owner", None)


def _served_longest_ago(turns: Mapping[Hashable, int], waiting: Iterable[Hashable]) -> Hashable:
    return min(waiting, key=lambda each: turns.get(each, 0))


def _alternating(lists: Iterable[Iterable[JobState]]) -> Iterator[JobState]:
    """Yield the first of each list, then the second of each, and so on."""
    return (state for state in chain.from_iterable(zip_longest(*lists)) if state is not None)


def _delete(states: list[JobState], state: JobState, key: Callable[[JobState], Any]) -> None:
    place = bisect_left(states, key(state), key=key)
    if place < len(states) and states[place] is state:
        del states[place]


def rank(state: JobState) -> Rank:
    """Return the key by which waiting jobs are sorted."""
    return -state.job.priority, state.job.created_unix_ns, state.job.id


def _waking(state: JobState) -> tuple[int, str]:
    return state.rests_until_ns, state.job.id
