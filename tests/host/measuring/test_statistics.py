from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.measuring.statistics import (
    clean_samples,
    summarize,
    visit_latency_ns,
)
from host.measuring.stopping import NextVisit, progress
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import RawSamples
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, Visit

NOW = Conditions(unix_ns=0)
QUIET = Visit("q", False, (100_000,) * 20, (99_000,) * 20, (0,) * 20, 10, 1, 1, NOW, NOW)
SPOILED = replace(QUIET, involuntary_switches=(1,) * 20)
TRACED = replace(QUIET, traced=True)


def test_samples_that_were_switched_out_or_waited_are_spoiled() -> None:
    wall_ns = (100_000, 101_000, 100_500, 180_000, 100_200, 100_100)
    cpu_ns = (99_900, 100_900, 100_400, 100_000, 100_100, 100_000)
    visit = replace(QUIET, wall_ns=wall_ns, cpu_ns=cpu_ns, involuntary_switches=(0, 0, 2, 0, 0, 0))
    assert clean_samples(visit).tolist() == [True, True, False, False, True, True]


def test_a_long_run_may_be_switched_out_as_often_as_an_idle_machine_does() -> None:
    wall_ns = (17_500_000, 17_600_000, 17_700_000, 17_800_000)
    switches = (3, 0, 4, 2)
    visit = replace(QUIET, wall_ns=wall_ns, cpu_ns=wall_ns, involuntary_switches=switches)
    assert clean_samples(visit).tolist() == [True, True, False, True]
    waited = replace(visit, cpu_ns=(15_000_000, *wall_ns[1:]))
    assert clean_samples(waited).tolist() == [False, True, False, True]


def test_the_quantiles_of_all_runs_include_disturbed_ones_and_no_traced_ones() -> None:
    wall_ns = tuple(range(1, 101))
    slow = replace(SPOILED, wall_ns=tuple(range(101, 201)), cpu_ns=wall_ns)
    slow = replace(slow, involuntary_switches=(1,) * 100)
    quiet = replace(QUIET, wall_ns=wall_ns, cpu_ns=wall_ns, involuntary_switches=(0,) * 100)
    summary = summarize([quiet, slow, replace(TRACED, wall_ns=(10**6,) * 20)])
    assert summary is not None
    assert summary.raw == RawSamples(100, 180, 198, 200, clean_visits=1, disturbed_visits=1)
    assert summary.latency_ns < 100


def test_a_visit_is_judged_by_its_clean_samples_alone() -> None:
    wall_ns = (100_000,) * 15 + (400_000,) * 5
    switches = (0,) * 15 + (1,) * 5
    visit = replace(QUIET, wall_ns=wall_ns, cpu_ns=wall_ns, involuntary_switches=switches)
    assert visit_latency_ns(visit) == 100_000
    assert visit_latency_ns(SPOILED) is None


def test_no_clean_visit_means_no_summary() -> None:
    assert summarize([]) is None
    assert summarize([SPOILED, SPOILED, TRACED]) is None


@given(st.lists(st.integers(10**5, 10**9), min_size=1, max_size=30))
def test_a_latency_lies_among_the_visits_and_inside_its_interval(medians: list[int]) -> None:
    visits = [replace(QUIET, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20) for ns in medians]
    summary = summarize([*visits, SPOILED, replace(TRACED, wall_ns=(1,) * 20)])
    assert summary is not None
    assert min(medians) <= summary.latency_ns <= max(medians)
    assert 0 < summary.lower_ns < summary.latency_ns < summary.upper_ns
    # What slows half of the visits, however much, leaves the latency alone.
    slower = [replace(v, wall_ns=(10**10,) * 20, cpu_ns=(10**10,) * 20) for v in visits]
    disturbed = summarize(visits + slower[: len(visits) // 3])
    assert disturbed is not None
    assert disturbed.latency_ns <= np.median(medians)
    assert (summary.clean_visits, summary.visits) == (len(medians), len(medians) + 1)


SPEC = BenchmarkSpec(min_visits=3, max_visits=6, tolerance=0.02, traced_visits=2, spacing_ns=0)


def test_a_quick_measurement_ends_when_its_interval_is_narrow_whatever_the_tolerance() -> None:
    quick = replace(BenchmarkSpec.quick(), spacing_ns=0)
    slower = [replace(QUIET, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20) for ns in (101_000, 102_000)]
    assert progress(quick, [QUIET] * 3) == NextVisit(traced=False)
    assert progress(quick, [QUIET, QUIET, *slower]) is None
    strict = replace(quick, half_width=0.0, tolerance=0.001)
    assert progress(strict, [QUIET, *slower, *slower]) == NextVisit(traced=False)
    far = [replace(QUIET, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20) for ns in (120_000, 125_000)]
    assert progress(quick, [QUIET, QUIET, *far]) == NextVisit(traced=False)
    assert progress(quick, [QUIET, *far, *far] * 2 + [QUIET]) is None  # as many as allowed


def test_a_measurement_ends_when_its_visits_agree_and_were_traced() -> None:
    assert progress(SPEC, []) == NextVisit(traced=False)
    assert progress(SPEC, [QUIET] * 2) == NextVisit(traced=True)
    assert progress(SPEC, [QUIET] * 2 + [TRACED]) == NextVisit(traced=False)
    assert progress(SPEC, [QUIET] * 2 + [TRACED, QUIET]) == NextVisit(traced=True)
    assert progress(SPEC, [QUIET] * 2 + [TRACED, QUIET, TRACED]) is None


def test_traced_visits_come_at_once_after_untraced_ones_and_are_spread_over_the_first() -> None:
    visits: list[Visit] = []
    rests_s = []
    while isinstance(needed := progress(BenchmarkSpec(), visits), NextVisit):
        rests_s.append(needed.rest_s)
        ns = 100_000 + 20_000 * len(visits)  # they do not agree
        slower = replace(QUIET, wall_ns=(ns,) * 20, cpu_ns=(ns,) * 20)
        visits.append(TRACED if needed.traced else slower)
    assert [index for index, visit in enumerate(visits) if visit.traced] == [3, 7]
    assert len(visits) == 13
    assert rests_s == [0.0 if visit.traced else 5.0 for visit in visits]
    untraced = [visit for visit in visits if not visit.traced]  # as an earlier version began
    needed = progress(BenchmarkSpec(), [*untraced, TRACED])
    assert needed == NextVisit(traced=True, rest_s=5.0)


def test_disagreeing_visits_go_on_to_the_cap() -> None:
    slow = replace(QUIET, wall_ns=(150_000,) * 20, cpu_ns=(149_000,) * 20)
    assert progress(SPEC, [QUIET, slow, TRACED, QUIET, TRACED, slow]) == NextVisit(traced=False)
    assert progress(SPEC, [QUIET, slow, TRACED, QUIET, TRACED, slow, QUIET, slow]) is None


@given(st.lists(st.sampled_from([QUIET, SPOILED, TRACED]), max_size=9))
def test_visits_are_spaced_out(visits: list[Visit]) -> None:
    close, spaced = progress(SPEC, visits), progress(replace(SPEC, spacing_ns=7 * 10**9), visits)
    if isinstance(close, NextVisit) and close.traced and not visits[-1].traced:
        assert spaced == close
    elif isinstance(close, NextVisit):
        assert spaced == replace(close, rest_s=max(7.0, close.rest_s))
    else:
        assert spaced == close


def test_a_disturbed_measurement_rests_and_tries_again_before_it_fails() -> None:
    assert progress(SPEC, [QUIET, TRACED, TRACED] + [SPOILED] * 4) == NextVisit(traced=False)
    disturbed = [QUIET, TRACED, TRACED] + [SPOILED] * 5
    rested = progress(SPEC, disturbed)
    assert isinstance(rested, NextVisit)
    assert rested.rest_s > 0
    assert progress(SPEC, [*disturbed, QUIET]) == NextVisit(traced=False)
    assert progress(SPEC, disturbed + [QUIET] * 2) is None
    longer = progress(SPEC, disturbed + [SPOILED] * 6)
    assert isinstance(longer, NextVisit)
    assert longer.rest_s > rested.rest_s
    outcome = progress(SPEC, disturbed + [SPOILED] * 12)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DISTURBED


PAIRED = BenchmarkSpec.paired(5)


def test_a_spec_of_pairs_asks_for_neighbours_and_begins_with_either_in_turn() -> None:
    visits: list[Visit] = []
    rests_s = []
    while isinstance(needed := progress(PAIRED, visits), NextVisit):
        rests_s.append(needed.rest_s)
        visits.append(TRACED if needed.traced else QUIET)
    assert needed is None
    order = [visit.traced for visit in visits]
    assert order == [False, True, *[True, False, False, True] * 2]
    assert rests_s == [5.0, 0.0] * 5


def test_disturbed_pairs_are_tried_again_as_pairs() -> None:
    visits: list[Visit] = []
    while isinstance(needed := progress(PAIRED, visits), NextVisit):
        visits.append(replace(SPOILED, traced=needed.traced))
    assert isinstance(needed, Failure)
    assert needed.kind is FailureKind.DISTURBED
    traced = [visit.traced for visit in visits]
    assert all(first != second for first, second in zip(traced[::2], traced[1::2], strict=True))


def test_ordinary_measurements_are_not_paired() -> None:
    assert not BenchmarkSpec().is_paired
    assert not BenchmarkSpec.sustained(30).is_paired
    assert not SPEC.is_paired
    with pytest.raises(ValueError, match="at most 100"):
        BenchmarkSpec.paired(101)


@given(
    st.sampled_from([SPEC, PAIRED]),
    st.lists(st.sampled_from([QUIET, SPOILED, TRACED]), max_size=40),
)
def test_progress_always_comes_to_an_end(spec: BenchmarkSpec, kinds: list[Visit]) -> None:
    visits: list[Visit] = []
    for kind in [*kinds, *[QUIET] * 20]:
        needed = progress(spec, visits)
        if not isinstance(needed, NextVisit):
            return
        visits.append(replace(kind, traced=needed.traced))
    raise AssertionError("still going after every cap")
