from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from host.domain import BenchmarkSpec, Failure, FailureKind, Job, Program
from host.scheduler import (
    FINAL_KINDS,
    MAX_FAILED_VISITS,
    WINDOW,
    JobState,
    choose,
    upcoming,
)
from host.summary import NextVisit

PROGRAM = Program("00", 1, "xnnpack", ((1,),), (), (), "test")


def state(number: int, target_id: str = "t") -> JobState:
    return JobState(Job(str(number), target_id, "00", BenchmarkSpec(), number), PROGRAM)


def test_only_jobs_of_the_devices_targets_are_chosen() -> None:
    assert choose([state(1, "other")], {"t"}, 0) is None
    assert choose([], {"t"}, 0) is None


def test_an_unanswered_run_comes_first() -> None:
    states = [state(1), state(2)]
    states[1].asked = ("run", NextVisit(traced=False))
    states[1].last_asked_unix_ns = 99
    assert choose(states, {"t"}, 0) is states[1]


def test_a_job_in_hand_is_nobody_elses() -> None:
    states = [state(1), state(2)]
    states[0].taken = True
    assert choose(states, {"t"}, 0) is states[1]
    states[0].asked = ("run", NextVisit(traced=False))
    assert choose(states, {"t"}, 0) is states[1]
    states[1].taken = True
    assert choose(states, {"t"}, 0) is None


@given(st.integers(0, 4 * WINDOW), st.sets(st.integers(0, 4 * WINDOW)))
def test_what_comes_soon_is_of_the_oldest_jobs_and_was_never_visited(
    jobs: int, visited: set[int]
) -> None:
    states = [state(number) for number in range(jobs)]
    for each in states:
        each.program = replace(PROGRAM, sha256=each.job.id)
        each.last_asked_unix_ns = int(each.job.id) in visited
    soon = [int(program.sha256) for program in upcoming([*reversed(states), state(0, "u")], {"t"})]
    assert soon == [number for number in range(min(jobs, 2 * WINDOW)) if number not in visited]


def test_a_job_that_rests_leaves_its_turn_to_others() -> None:
    states = [state(1), state(2)]
    states[0].rests_until_unix_ns = 10
    assert choose(states, {"t"}, 9) is states[1]
    assert choose(states, {"t"}, 10) is states[0]
    assert choose(states[:1], {"t"}, 9) is None


@given(st.integers(1, 3 * WINDOW), st.integers(1, 200))
def test_visits_are_interleaved_evenly_over_the_oldest_jobs(jobs: int, visits: int) -> None:
    states = [state(number) for number in reversed(range(jobs))]
    chosen = Counter[str]()
    for now in range(1, visits + 1):
        turn = choose(states, {"t"}, now)
        assert turn is not None
        turn.last_asked_unix_ns = now
        chosen[turn.job.id] += 1
    in_window = min(jobs, WINDOW)
    assert set(chosen) <= {str(number) for number in range(in_window)}
    turns = [chosen[str(number)] for number in range(in_window)]
    assert max(turns) - min(turns) <= 1


@given(st.lists(st.sampled_from(FailureKind), max_size=6))
def test_failed_visits_end_a_job_at_once_or_after_a_few(kinds: list[FailureKind]) -> None:
    tried = state(1)
    tried.failures = [Failure(kind, "") for kind in kinds]
    ends = len(kinds) >= MAX_FAILED_VISITS or bool(FINAL_KINDS & set(kinds))
    assert isinstance(tried.next(), Failure) == ends
