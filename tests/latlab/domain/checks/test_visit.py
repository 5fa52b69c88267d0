"""What a device answers, before it is stored."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.measuring.kernel_times import kernel_times_ns
from host.measuring.statistics import summarize
from host.measuring.stopping import progress
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.checks.visit import INT64_MAX, MAX_MESSAGE_LENGTH, checked, visit_fault
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import KernelTrace, Visit
from tests.host.fake_lab import SENTINEL
from tests.host.measuring.test_statistics import NOW, QUIET, SPEC, TRACED
from tests.latlab.convert import strategies

ASKED = VisitSpec()
RUNS = len(QUIET.wall_ns)
TRACE = KernelTrace("Add (ND)", (0,) * RUNS)


def test_ordinary_visits_pass() -> None:
    for visit, traced in ((QUIET, False), (TRACED, True)):
        assert checked(visit, visit.run_id, replace(ASKED, traced=traced)) is visit
    two_kernels = replace(TRACED, kernel_traces=(TRACE, TRACE))
    assert checked(two_kernels, "q", replace(ASKED, traced=True)) is two_kernels


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"wall_ns": (), "cpu_ns": (), "involuntary_switches": ()}, "empty"),
        ({"cpu_ns": (1,)}, "not parallel"),
        ({"wall_ns": (0,) * RUNS}, "took 0 ns"),
        ({"wall_ns": (-5,) * RUNS}, "took -5 ns"),
        ({"wall_ns": (2**63,) * RUNS}, "wall_ns holds"),
        ({"cpu_ns": (-1,) * RUNS}, "cpu_ns holds -1"),
        ({"involuntary_switches": (2**64 - 1,) * RUNS}, "involuntary_switches holds"),
        ({"wall_ns": (ASKED.deadline_ns,) * RUNS}, "deadline"),
        ({"load_ns": 2**63}, "load_ns is"),
        ({"peak_rss_bytes": -1}, "peak_rss_bytes is -1"),
        ({"peak_rss_bytes": "much"}, "peak_rss_bytes is 'much'"),
        ({"load_ns": 0.5}, "load_ns is 0.5"),
        ({"warmup_runs": 2**31}, "warmup_runs is"),
        ({"run_id": "another"}, "another run, 'another'"),
        ({"traced": True}, "traced, unlike"),
        ({"kernel_traces": (TRACE,)}, "untraced and has traces"),
        ({"before": replace(NOW, temperature_c=math.nan)}, "temperature_c before is nan"),
        ({"after": replace(NOW, load_1min=math.inf)}, "load_1min after is inf"),
        ({"after": replace(NOW, battery_level=-0.5)}, "battery_level after is -0.5"),
        ({"after": replace(NOW, memory_probe_ns=-1)}, "memory_probe_ns after is -1"),
        ({"after": replace(NOW, arithmetic_probe_ns=2**64 - 1)}, "arithmetic_probe_ns after"),
        ({"after": replace(NOW, governor="x" * 10_000)}, "governor after has 10000"),
    ],
)
def test_what_can_be_no_visit_is_a_failure_that_says_why(fields: dict[str, Any], said: str) -> None:
    outcome = checked(replace(QUIET, **fields), "q", ASKED)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.AGENT_ERROR
    assert said in outcome.message


@pytest.mark.parametrize(
    ("traces", "said"),
    [
        ((TRACE, replace(TRACE, durations_ns=(1,))), "1 durations for 20 runs"),
        ((replace(TRACE, durations_ns=(-1,) * RUNS),), "holds -1"),
        ((replace(TRACE, name="x" * 10_000),), "10000 characters"),
        ((TRACE,) * 10_001, "10001 kernels"),
    ],
)
def test_traces_are_one_duration_a_run(traces: tuple[KernelTrace, ...], said: str) -> None:
    outcome = checked(replace(TRACED, kernel_traces=traces), "q", replace(ASKED, traced=True))
    assert isinstance(outcome, Failure)
    assert said in outcome.message


def test_runs_are_at_most_as_many_as_the_cap() -> None:
    outcome = checked(QUIET, "q", replace(ASKED, max_timed_runs=RUNS - 1))
    assert isinstance(outcome, Failure)
    assert f"{RUNS} runs" in outcome.message


def test_a_failure_s_message_can_be_stored_whatever_it_is() -> None:
    told = Failure(FailureKind.CRASHED, "\0" + "x" * 10_000_000)
    outcome = checked(told, "q", ASKED)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.CRASHED
    assert "\0" not in outcome.message
    assert len(outcome.message) == MAX_MESSAGE_LENGTH


_odd = st.integers(-(2**64), 2**64) | st.sampled_from([0, 1, INT64_MAX])
_series = st.lists(_odd, max_size=4).map(tuple)


@given(
    visit=strategies.visits,
    series=st.tuples(_series, _series, _series),
    odd=_odd,
    traces=st.lists(st.builds(KernelTrace, strategies.texts, _series), max_size=3).map(tuple),
)
def test_what_passes_can_be_summed_up(
    visit: Visit,
    series: tuple[tuple[int, ...], ...],
    odd: int,
    traces: tuple[KernelTrace, ...],
) -> None:
    wall_ns, cpu_ns, switches = series
    for one in (visit, replace(visit, wall_ns=wall_ns, cpu_ns=cpu_ns, load_ns=odd)):
        for each in (one, replace(one, involuntary_switches=switches, kernel_traces=traces)):
            if visit_fault(each):
                continue
            summary = summarize([each])
            assert summary is None or summary.latency_ns > 0
            progress(SPEC, [each])


def test_a_program_without_kernels_has_no_kernel_times_and_is_traced_all_the_same() -> None:
    assert SENTINEL.kernels == ()
    assert kernel_times_ns(SENTINEL, [QUIET, TRACED, TRACED]) == ()
