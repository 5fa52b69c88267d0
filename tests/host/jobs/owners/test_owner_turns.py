"""Owners take turns on a device, however many clients and jobs each has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from host.jobs.job_state import JobState
from host.jobs.queue import JobQueue, owner_of
from tests.host.jobs.test_queue import state


@dataclass(frozen=True)
class Client:
    owner: str
    number: int


# How many jobs each client of each owner has.
owners = st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=8), min_size=1, max_size=4)


def filled(owned: list[list[int]], order: list[int] | None = None) -> tuple[JobQueue, dict]:  # type: ignore[type-arg]
    """A queue, and the client of each job by its id."""
    queue, clients = JobQueue(), {}
    number = 0
    for owner, sizes in enumerate(owned):
        for client, size in enumerate(sizes):
            for _ in range(size):
                one = state(number)
                one.clients = {Client(str(owner), client)}
                [clients[one.job.id]] = one.clients
                queue.add(one)
                number += 1
    return queue, clients


def visit(queue: JobQueue, now: int) -> JobState:
    turn = queue.take("a", ["t"], now)
    assert turn is not None
    turn.last_asked_ns = now
    queue.put_back(turn)
    return turn


@given(owners, st.integers(1, 100))
def test_visits_are_shared_evenly_between_owners_and_within_an_owner_between_clients(
    owned: list[list[int]], visits: int
) -> None:
    queue, clients = filled(owned)
    by_owner, by_client = Counter[str](), Counter[Client]()
    for now in range(1, visits + 1):
        client = clients[visit(queue, now).job.id]
        by_owner[client.owner] += 1
        by_client[client] += 1
    turns = [by_owner[str(owner)] for owner in range(len(owned))]
    assert max(turns) - min(turns) <= 1
    for owner, sizes in enumerate(owned):
        turns = [by_client[Client(str(owner), client)] for client in range(len(sizes))]
        assert max(turns) - min(turns) <= 1


def test_fifty_streams_of_one_owner_delay_another_by_one_visit_at_a_time() -> None:
    queue, clients = filled([[3] * 50, [10]])
    served = [clients[visit(queue, now).job.id].owner for now in range(1, 21)]
    assert served.count("1") == 10
    assert all(first != second for first, second in pairwise(served))


@given(owners, st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_an_owner_gains_nothing_by_connecting_again(
    owned: list[list[int]], leaving: list[int]
) -> None:
    """The clients of owner 0 leave and come back as new ones; everybody else stays."""
    queue, clients = filled([*owned, [20]])
    states = {one.job.id: one for one in _waiting(queue)}
    mine = [id_ for id_, client in clients.items() if client.owner == "0"]
    by_owner = Counter[str]()
    for now, leaver in enumerate(leaving, start=1):
        job = states[mine[leaver % len(mine)]]
        [old] = job.clients
        queue.leave(job, old)
        queue.forget(old)
        new = Client("0", 1_000 + now)
        queue.join(job, new, 0)
        clients[job.job.id] = new
        by_owner[clients[visit(queue, now).job.id].owner] += 1
    turns = [by_owner[str(owner)] for owner in range(len(owned) + 1)]
    assert max(turns) - min(turns) <= 1


def _waiting(queue: JobQueue) -> list[JobState]:
    taken = []
    while (turn := queue.take("other", ["t"], 0)) is not None:
        taken.append(turn)
    for turn in taken:
        queue.put_back(turn)
    return taken


def test_priorities_count_among_the_jobs_of_one_owner() -> None:
    queue, clients = filled([[3], [3]])
    for one in _waiting(queue):
        if clients[one.job.id].owner == "0":
            queue.join(one, clients[one.job.id], 100 + int(one.job.id))
    served = [visit(queue, now) for now in range(1, 5)]
    assert sorted(clients[one.job.id].owner for one in served) == ["0", "0", "1", "1"]
    urgent = [one for one in served if clients[one.job.id].owner == "0"]
    assert {one.job.priority for one in urgent} == {102}


def test_programs_of_every_owner_are_among_those_that_come_soon() -> None:
    queue, clients = filled([[20] * 8, [20]])
    programs = {}
    for one in _waiting(queue):
        one.program = replace(one.program, sha256=one.job.id)
        one.last_asked_ns = 0
        programs[one.job.id] = clients[one.job.id].owner
    soon = [programs[program.sha256] for program in queue.upcoming({"t"})][:10]
    assert soon.count("1") == 5


def test_jobs_that_nobody_waits_for_share_one_turn() -> None:
    assert owner_of(None) is None
    queue, clients = filled([[10]])
    for number in range(100, 110):
        queue.add(state(number))
    served = [clients.get(visit(queue, now).job.id) for now in range(1, 11)]
    assert served.count(None) == 5
