from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_models.intervals import LEVEL, NormalizedInterval, whole_bounds_ns
from latency_models.network_correction import Correction
from latlab.domain.estimate import whole_ns


@settings(deadline=None)
@given(st.floats(0.7, 1.5), st.floats(0.9, 1.1), st.floats(0, 0.5), st.integers(0, 1_000))
def test_the_correction_is_found_despite_disturbed_networks(
    scale: float, of_adds: float, intercept_ms: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sums_ns = rng.uniform(2e6, 3e7, 40)[:, None] * rng.dirichlet([9, 3], 40)
    latencies_ns = intercept_ms * 1e6 + scale * sums_ns @ [1, of_adds]
    disturbed_ns = latencies_ns * rng.lognormal(0, 0.01, 40)
    disturbed_ns[:4] *= 1.6
    corrected_ns = Correction.fit(["conv2d", "add"], sums_ns, disturbed_ns)(sums_ns)
    assert np.abs(corrected_ns / latencies_ns - 1)[4:].mean() < 0.04


def test_few_networks_of_one_size_give_a_scale_and_no_intercept() -> None:
    sums_ns = np.array([[10.0e6, 2e6], [10.1e6, 2e6], [9.9e6, 2e6]])
    latencies_ns = 0.9 * sums_ns.sum(axis=1) + np.array([1e5, -1e5, 1e5])
    correction = Correction.fit(["conv2d", "add"], sums_ns, latencies_ns)
    assert correction.intercept_ns < 2e5
    assert correction.scales == pytest.approx(0.9, rel=0.05)
    assert correction(np.array([[2e6, 0.0]]))[0] == pytest.approx(1.8e6, rel=0.15)
    conv2d, add = correction.scales
    assert str(correction) == (
        f"{correction.intercept_ns / 1e6:.3f} ms + {conv2d:.3f} × conv2d + {add:.3f} × add"
    )


def test_a_kind_that_costs_more_in_the_whole_is_found_out() -> None:
    rng = np.random.default_rng(0)
    sums_ns = rng.uniform(2e6, 3e7, 60)[:, None] * rng.dirichlet([4, 4], 60)
    correction = Correction.fit(["conv2d", "add"], sums_ns, sums_ns @ [1.0, 1.3])
    assert correction.scales == pytest.approx([1.0, 1.3], rel=0.02)


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=60))
def test_an_interval_is_as_wide_for_slow_as_for_fast(ratios: list[float]) -> None:
    measured, predicted = np.array(ratios), np.ones(len(ratios))
    multiple = NormalizedInterval.fit(predicted, measured, predicted).multiple
    assert 0 <= multiple < np.inf
    assert NormalizedInterval.fit(measured, predicted, predicted).multiple == pytest.approx(
        multiple
    )


@pytest.mark.parametrize("count", [4, 12, 40])
def test_normalized_intervals_hold_their_share_and_are_wide_where_errors_are(count: int) -> None:
    rng = np.random.default_rng(count)
    held = []
    for _ in range(500):
        deviations = rng.choice([0.01, 0.3], count + 20)
        measured_ns = np.exp(deviations * rng.standard_normal(count + 20))
        interval = NormalizedInterval.fit(
            np.ones(count), measured_ns[:count], 2 * deviations[:count]
        )
        factors = interval.factors(2 * deviations[count:])
        held.append(np.mean(np.abs(np.log(measured_ns[count:])) <= np.log(factors)))
        assert interval.factors(np.array([0.6, 0.02])) == pytest.approx(
            np.exp(interval.multiple * np.array([0.6, 0.02]))
        )
    assert np.mean(held) == pytest.approx(LEVEL, abs=0.05)


def test_a_normalized_interval_is_finite() -> None:
    interval = NormalizedInterval.fit(np.ones(3), np.array([1e9, 1.0, 1.0]), np.full(3, 1e-3))
    assert np.isfinite(interval.factors(np.array([1e9])))


@given(st.lists(st.tuples(st.floats(1, 1e300), st.floats(1, 1e43))))
def test_many_bounds_are_rounded_as_one_is(predicted: list[tuple[float, float]]) -> None:
    latencies_ns, factors = np.array(predicted).reshape(-1, 2).T
    assert whole_bounds_ns(latencies_ns, factors) == [
        [whole_ns(ns), whole_ns(ns / factor), whole_ns(ns * factor)] for ns, factor in predicted
    ]
