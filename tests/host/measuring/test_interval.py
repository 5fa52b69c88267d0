"""The 90 % interval holds the truth on machines that its margins were not calibrated on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from host.measuring.interval import (
    LEAST_SPREAD,
    MARGINS,
    QUANTILE,
    UNKNOWN_SPREAD,
    disagreement,
    quiet_latency,
    relative_spread,
    usual_spread,
)
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.measurement import Summary
from tests.host.measuring.simulated_visits import FIT_SEED, machine, truth_ns, windows

SEED = 918_273  # no calibration has used it
MACHINES, WINDOWS = 600, 6
FloatArray = NDArray[np.float64]

latencies = st.lists(st.floats(1, 1e12), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def machines() -> list[FloatArray]:
    assert SEED != FIT_SEED
    rng = np.random.default_rng(SEED)
    return [machine(rng) for _ in range(MACHINES)]


def summary(latencies_ns: list[float]) -> Summary:
    latency_ns, lower_ns, upper_ns = quiet_latency(latencies_ns)
    count = len(latencies_ns)
    return Summary(latency_ns, lower_ns, upper_ns, count, count, 1.0, 1.0, 1.0, count)


def holds(latencies_ns: FloatArray, truth: float) -> bool:
    _, lower_ns, upper_ns = quiet_latency(latencies_ns.tolist())
    return lower_ns <= truth <= upper_ns


@pytest.mark.parametrize("visits", [6, 8, 11, 20])
def test_it_holds_90_percent_for_any_number_of_visits(
    machines: list[FloatArray], visits: int
) -> None:
    drawn = windows(machines, visits, WINDOWS, np.random.default_rng(SEED + visits))
    held = [
        holds(window, truth_ns(each))
        for each, of_machine in zip(machines, drawn, strict=True)
        for window in of_machine
    ]
    assert 0.88 <= np.mean(held) <= 0.93


def test_it_holds_90_percent_where_measurements_end_when_their_visits_agree(
    machines: list[FloatArray],
) -> None:
    spec = BenchmarkSpec()
    drawn = windows(machines, spec.max_visits, WINDOWS, np.random.default_rng(SEED))
    held, early = [], []
    for each, of_machine in zip(machines, drawn, strict=True):
        for window in of_machine:
            size = spec.min_visits
            while size < spec.max_visits and disagreement(window[:size].tolist()) > spec.tolerance:
                size += 1
            held.append(holds(window[:size], truth_ns(each)))
            early.append(size < spec.max_visits)
    assert 0.02 < np.mean(early) < 0.98
    assert 0.88 <= np.mean(held) <= 0.93


@pytest.mark.parametrize("visits", [1, 2])
def test_first_visits_rest_on_the_usual_spread_of_the_target(
    machines: list[FloatArray], visits: int
) -> None:
    """Margins come from a recording. On simulated machines they hold about as much."""
    rng = np.random.default_rng(SEED + visits)
    earlier = windows(machines, 8, 12, rng)
    drawn = windows(machines, visits, WINDOWS, rng)
    held = []
    for each, of_earlier, of_machine in zip(machines, earlier, drawn, strict=True):
        usual = usual_spread([summary(window.tolist()) for window in of_earlier])
        for window in of_machine:
            _, lower_ns, upper_ns = quiet_latency(window.tolist(), usual)
            held.append(lower_ns <= truth_ns(each) <= upper_ns)
    assert 0.88 <= np.mean(held) <= 0.96


@given(st.lists(st.lists(st.floats(1e6, 1.5e6), min_size=4, max_size=11), min_size=3, max_size=9))
def test_the_usual_spread_is_the_median_of_those_that_intervals_rest_on(
    measurements: list[list[float]],
) -> None:
    spreads = [relative_spread(np.array(each)) + LEAST_SPREAD for each in measurements]
    assert usual_spread(list(map(summary, measurements))) == pytest.approx(np.median(spreads))


def test_where_too_little_was_measured_the_usual_spread_is_large() -> None:
    assert usual_spread([]) == usual_spread([summary([1e6] * 6)] * 2) == UNKNOWN_SPREAD
    assert usual_spread([summary([1e6] * 3)] * 9) == UNKNOWN_SPREAD
    assert usual_spread([summary([1e6] * 6)] * 3) == pytest.approx(LEAST_SPREAD)


@given(latencies, st.floats(1e-3, 0.5))
def test_from_the_third_visit_on_their_own_spread_counts(
    latencies_ns: list[float], usual: float
) -> None:
    latency_ns, lower_ns, upper_ns = bounds = quiet_latency(latencies_ns, usual)
    assert lower_ns < latency_ns < upper_ns
    assert (bounds == quiet_latency(latencies_ns)) or len(latencies_ns) < 3


@given(latencies, st.floats(1e-3, 1e3))
def test_it_is_finite_and_does_not_depend_on_the_unit(
    latencies_ns: list[float], scale: float
) -> None:
    latency_ns, lower_ns, upper_ns = bounds = quiet_latency(latencies_ns)
    assert 0 < lower_ns < latency_ns < upper_ns < 1e15
    assert latency_ns == np.quantile(latencies_ns, QUANTILE)
    scaled = quiet_latency([scale * each for each in latencies_ns])
    assert scaled == pytest.approx(tuple(scale * each for each in bounds))


@given(st.lists(st.floats(1, 1e12), min_size=2, max_size=30))
def test_the_slowest_quarter_of_the_visits_does_not_widen_it(latencies_ns: list[float]) -> None:
    once = quiet_latency(latencies_ns * 4)
    slowest = sorted(latencies_ns * 4)
    slowest[-len(latencies_ns) + 1 :] = [1e13] * (len(latencies_ns) - 1)
    assert quiet_latency(slowest) == pytest.approx(once)


def test_margins_shrink_with_the_number_of_visits() -> None:
    sizes, below, above = zip(*MARGINS, strict=True)
    assert list(sizes) == sorted(sizes)
    for margins in (below, above):
        assert list(margins) == sorted(margins, reverse=True)


@given(latencies)
def test_visits_agree_where_the_faster_half_does(latencies_ns: list[float]) -> None:
    assert disagreement(latencies_ns) >= 0
    fastest = min(latencies_ns)
    assert disagreement([fastest] * (len(latencies_ns) + 1) + latencies_ns) == 0
    assert disagreement([100.0, 102.0, 104.0]) == pytest.approx(1 / 101)
