from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from host.jobs.job_state import FINAL_KINDS, MAX_FAILED_VISITS, JobState
from host.jobs.queue import WINDOW, JobQueue, rank
from host.measuring.stopping import NextVisit
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Job
from latlab.domain.program import Program, TensorSpec
from tests.host.measuring.test_statistics import QUIET, TRACED

PROGRAM = Program("00", 1, "xnnpack", (TensorSpec((1,)),), (), (), "test")


def state(number: int, target_id: str = "t") -> JobState:
    return JobState(Job(str(number), target_id, "00", BenchmarkSpec(), number), PROGRAM)


def queue_of(*states: JobState) -> JobQueue:
    queue = JobQueue()
    for state in states:
        queue.add(state)
    return queue


def test_only_jobs_of_the_devices_targets_are_taken() -> None:
    assert queue_of(state(1, "other")).take("a", {"t"}, 0) is None
    assert JobQueue().take("a", {"t"}, 0) is None


def test_an_unanswered_run_comes_first_and_on_its_device_alone() -> None:
    older, asked = state(1), state(2)
    asked.asked, asked.device_serial = ("run", NextVisit(traced=False)), "a"
    asked.last_asked_ns = 99
    queue = queue_of(older, asked)
    assert queue.take("b", {"t"}, 0) is older
    assert queue.take("b", {"t"}, 0) is None
    assert queue.take("a", {"t"}, 0) is asked
    assert queue.take("a", {"t"}, 0) is None
    queue.put_back(asked)
    assert queue.take("a", {"t"}, 0) is asked
    asked.asked = None
    queue.put_back(asked)
    assert queue.take("b", {"t"}, 0) is asked


def test_the_second_visit_of_a_pair_comes_before_other_jobs() -> None:
    paired, other = state(1), state(2)
    paired.job = replace(paired.job, spec=BenchmarkSpec.paired(5))
    paired.last_asked_ns, other.last_asked_ns = 2, 1
    queue = queue_of(paired, other)
    assert queue.take("a", {"t"}, 0) is other
    queue.put_back(other)
    paired.visits.append(QUIET)
    assert queue.take("a", {"t"}, 0) is paired
    paired.visits.append(TRACED)
    queue.put_back(paired)
    assert queue.take("a", {"t"}, 0) is other


def test_a_job_that_ended_while_it_was_taken_stays_away() -> None:
    ended = state(1)
    queue = queue_of(ended)
    assert queue.take("a", {"t"}, 0) is ended
    queue.remove(ended)
    queue.put_back(ended)
    assert queue.take("a", {"t"}, 0) is None


@given(st.integers(0, 4 * WINDOW), st.sets(st.integers(0, 4 * WINDOW)))
def test_what_comes_soon_is_of_the_oldest_jobs_and_was_never_visited(
    jobs: int, visited: set[int]
) -> None:
    states = [state(number) for number in range(jobs)]
    for each in states:
        each.program = replace(PROGRAM, sha256=each.job.id)
        each.last_asked_ns = int(each.job.id) in visited
    soon = queue_of(*reversed(states), state(0, "u")).upcoming({"t"})
    assert [int(program.sha256) for program in soon] == [
        number for number in range(min(jobs, 2 * WINDOW)) if number not in visited
    ]


def test_a_job_that_rests_leaves_its_turn_to_others() -> None:
    first, second = state(1), state(2)
    queue = queue_of(first, second)
    assert queue.next_rested_ns({"t"}) == math.inf
    assert queue.take("a", {"t"}, 0) is first
    first.rests_until_ns = 10
    queue.put_back(first)
    assert queue.next_rested_ns({"t"}) == 10
    assert queue.take("a", {"t"}, 9) is second
    assert queue.take("a", {"t"}, 9) is None
    assert queue.take("a", {"t"}, 10) is first


@given(st.integers(1, 3 * WINDOW), st.integers(1, 200), st.integers(1, 3))
def test_visits_are_interleaved_evenly_over_the_oldest_jobs(
    jobs: int, visits: int, targets: int
) -> None:
    names = [str(number) for number in range(targets)]
    queue = queue_of(*(state(number, names[number % targets]) for number in reversed(range(jobs))))
    taken = Counter[str]()
    for now in range(1, visits + 1):
        turn = queue.take("a", names, now)
        assert turn is not None
        turn.last_asked_ns = now
        queue.put_back(turn)
        taken[turn.job.id] += 1
    in_window = min(jobs, WINDOW)
    assert set(taken) <= {str(number) for number in range(in_window)}
    turns = [taken[str(number)] for number in range(in_window)]
    assert max(turns) - min(turns) <= 1


@given(
    st.lists(st.integers(1, 2 * WINDOW), min_size=2, max_size=4),
    st.integers(1, 60),
    st.permutations(range(4)),
)
def test_clients_take_turns_however_many_jobs_each_has(
    sizes: list[int], visits: int, order: list[int]
) -> None:
    queue = JobQueue()
    owners = [client for client in order if client < len(sizes) for _ in range(sizes[client])]
    for number, client in enumerate(owners):
        one = state(number)
        one.clients = {client}
        queue.add(one)
    taken = Counter[int]()
    for now in range(1, visits + 1):
        turn = queue.take("a", ["t"], now)
        assert turn is not None
        turn.last_asked_ns = now
        queue.put_back(turn)
        taken[owners[int(turn.job.id)]] += 1
    turns = [taken[client] for client in range(len(sizes))]
    assert max(turns) - min(turns) <= 1


@given(st.permutations([-1, 0, 0, 0, 2, 2, 7]))
def test_higher_priorities_come_first_and_within_one_the_oldest(priorities: list[int]) -> None:
    queue = JobQueue()
    for number, priority in enumerate(priorities):
        one = state(number)
        one.job = replace(one.job, priority=priority)
        queue.add(one)
    taken = []
    while (turn := queue.take("a", ["t"], 0)) is not None:
        taken.append((-turn.job.priority, int(turn.job.id)))
    assert taken == sorted((-priority, number) for number, priority in enumerate(priorities))


def test_a_job_that_another_client_asks_for_has_its_turn_among_the_jobs_of_both() -> None:
    states = [state(number) for number in range(3 * WINDOW)]
    for one in states:
        one.clients = {"many"}
    queue = queue_of(*states)
    queue.join(states[-1], "one", 0)
    assert states[-1] in (queue.take("a", ["t"], 0), queue.take("a", ["t"], 0))
    queue.put_back(states[-1])
    queue.join(states[-2], "another", 5)
    assert queue.take("a", ["t"], 0) is states[-2]
    queue.put_back(states[-2])
    queue.leave(states[-2], "another")
    queue.remove(states[-2])
    left = set()
    while (turn := queue.take("a", ["t"], 0)) is not None:
        left.add(turn)
    assert states[-2] not in left


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "put back", "join", "leave", "end"]),
            st.integers(0, 5),
            st.integers(-1, 3),
        )
    )
)
def test_what_is_ahead_follows_priorities_and_pauses(steps: list[tuple[str, int, int]]) -> None:
    states = [state(number, "tu"[number % 2]) for number in range(6)]
    queue = queue_of(*states)
    for now_ns, (step, number, priority) in enumerate(steps, start=1):
        one = states[number % len(states)]
        if step == "take":
            queue.take("a", {"t", "u"}, now_ns)
        elif step == "put back":
            queue.put_back(one)
        elif step == "join":
            queue.join(one, priority, priority)
        elif step == "leave":
            queue.leave(one, priority, now_ns)
        elif len(states) > 1:
            states.remove(one)
            queue.remove(one)
        assert [queue.ahead(each) for each in states] == expected_ahead(states)


def expected_ahead(states: list[JobState]) -> list[int]:
    """Count the jobs that come before each of its target, one by one."""
    return [
        sum(
            other.job.target_id == each.job.target_id
            and not other.is_paused
            and rank(other) < rank(each)
            for other in states
        )
        for each in states
    ]


class Devices(RuleBasedStateMachine):
    """Devices that take, rest, put back and end jobs in any order, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue()
        self.open: list[JobState] = []
        self.taken: list[JobState] = []
        self.now = 1

    @rule(target_id=st.sampled_from("tu"))
    def submit(self, target_id: str) -> None:
        self.now += 1
        self.open.append(state(self.now, target_id))
        self.queue.add(self.open[-1])

    @rule(device=st.sampled_from("abc"), target_ids=st.sets(st.sampled_from("tu"), min_size=1))
    def take(self, device: str, target_ids: set[str]) -> None:
        self.now += 1
        free = [
            state
            for state in self.open
            if state.job.target_id in target_ids
            and state.rests_until_ns <= self.now
            and state not in self.taken
        ]
        expected = min(free[:WINDOW], key=lambda state: state.last_asked_ns, default=None)
        taken = self.queue.take(device, target_ids, self.now)
        assert (taken is None) == (expected is None)
        if taken is not None and expected is not None:
            assert taken in free[:WINDOW]
            assert taken.last_asked_ns == expected.last_asked_ns
            taken.last_asked_ns = self.now
            self.taken.append(taken)

    @rule(number=st.integers(0, 99), rests_ns=st.integers(0, 9))
    def put_back(self, number: int, rests_ns: int) -> None:
        if self.taken:
            state = self.taken.pop(number % len(self.taken))
            state.rests_until_ns = self.now + rests_ns if rests_ns else 0
            self.queue.put_back(state)

    @rule(number=st.integers(0, 99))
    def end(self, number: int) -> None:
        """Any job: one that waits, rests, or is taken."""
        if self.open:
            ended = self.open.pop(number % len(self.open))
            self.taken = [state for state in self.taken if state is not ended]
            self.queue.remove(ended)

    @invariant()
    def counts_what_is_ahead(self) -> None:
        assert [self.queue.ahead(each) for each in self.open] == expected_ahead(self.open)


TestDevices = Devices.TestCase


@given(st.lists(st.sampled_from(FailureKind), max_size=6))
def test_failed_visits_end_a_job_at_once_or_after_a_few(kinds: list[FailureKind]) -> None:
    tried = state(1)
    tried.failures = [Failure(kind, "") for kind in kinds]
    ends = len(kinds) >= MAX_FAILED_VISITS or bool(FINAL_KINDS & set(kinds))
    assert isinstance(tried.next(), Failure) == ends
