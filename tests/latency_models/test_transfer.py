"""Transfer within a simulated family of devices.

Each network is a sum of three kinds of work, and a device is its price of each kind.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from latency_models.intervals import LEVEL
from latency_models.targets.average import Transferred
from latency_models.targets.transfer import (
    MIN_SAMPLES,
    Transfer,
    leave_one_out_errors,
    transfer,
)
from latlab.domain.errors import NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NETWORKS, SOURCES = 300, 8

seeds = st.integers(0, 10_000)
sample_counts = st.integers(5, 50)


def lab(
    seed: int, samples: int, noise: float = 0.02
) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Return the sources, the truth on the new target, the measured rows and their latencies."""
    rng = np.random.default_rng(seed)
    work = rng.lognormal(0, 0.5, (NETWORKS, 3))
    devices_ns = 1e6 * work @ rng.lognormal(0, 0.5, (3, SOURCES + 1))
    sources_ns = devices_ns[:, :SOURCES] * rng.lognormal(0, 0.02, (NETWORKS, SOURCES))
    measured = rng.choice(NETWORKS, samples, replace=False)
    truth_ns = devices_ns[:, SOURCES]
    return sources_ns, truth_ns, measured, truth_ns[measured] * rng.lognormal(0, noise, samples)


def assert_close(result: Transferred, expected: Transferred, factor: float = 1.0) -> None:
    for field in ("latency_ns", "lower_ns", "upper_ns"):
        np.testing.assert_allclose(
            getattr(result, field), factor * getattr(expected, field), rtol=1e-6
        )


@pytest.mark.parametrize(("samples", "error"), [(5, 0.12), (10, 0.06), (50, 0.04)])
def test_a_device_like_the_others_is_learned_from_few_samples(samples: int, error: float) -> None:
    errors, orders = [], []
    for seed in range(30):
        sources_ns, truth_ns, measured, measured_ns = lab(seed, samples)
        latency_ns = transfer(sources_ns, measured, measured_ns).latency_ns
        errors.append(np.mean(np.abs(latency_ns / truth_ns - 1)))
        orders.append(spearmanr(latency_ns, truth_ns).statistic)
    assert np.mean(errors) < error
    assert np.mean(orders) > 0.95


@pytest.mark.parametrize(("samples", "most"), [(5, 1.0), (10, 0.97), (30, 0.94)])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_intervals_hold_their_share_of_new_measurements(
    samples: int, most: float, noise: float
) -> None:
    """They hold more if there are too few samples to judge the sources."""
    held = []
    for seed in range(60):
        sources_ns, truth_ns, measured, measured_ns = lab(seed, samples, noise)
        result = transfer(sources_ns, measured, measured_ns)
        again_ns = truth_ns * np.random.default_rng(seed).lognormal(0, noise, NETWORKS)
        held.append(np.mean((result.lower_ns <= again_ns) & (again_ns <= result.upper_ns)))
    assert LEVEL - 0.04 < np.mean(held) < most


def test_a_device_that_no_source_resembles_gets_wide_intervals() -> None:
    sources_ns, _, measured, measured_ns = lab(0, 10)
    like = transfer(sources_ns, measured, measured_ns)
    strange_ns = np.random.default_rng(0).permutation(measured_ns)
    unlike = transfer(sources_ns, measured, strange_ns)
    widths = [np.median((r.upper_ns - r.lower_ns) / r.latency_ns) for r in (like, unlike)]
    assert widths[1] > 3 * widths[0]


@settings(deadline=None)
@given(seeds, sample_counts, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_units_do_not_matter(seed: int, samples: int, source_unit: float, unit: float) -> None:
    sources_ns, _, measured, measured_ns = lab(seed, samples)
    expected = transfer(sources_ns, measured, measured_ns)
    sources_ns[:, 0] *= source_unit
    assert_close(transfer(sources_ns, measured, unit * measured_ns), expected, unit)


@settings(deadline=None)
@given(seeds, sample_counts)
def test_the_order_of_networks_sources_and_samples_does_not_matter(seed: int, samples: int) -> None:
    sources_ns, _, measured, measured_ns = lab(seed, samples)
    rng = np.random.default_rng(seed)
    rows, shuffled = rng.permutation(NETWORKS), rng.permutation(samples)
    result = transfer(
        sources_ns[rows][:, rng.permutation(SOURCES)],
        np.argsort(rows)[measured][shuffled],
        measured_ns[shuffled],
    )
    expected = transfer(sources_ns, measured, measured_ns)
    assert_close(result, Transferred(*(a[rows] for a in vars(expected).values())))


@settings(deadline=None)
@given(
    seeds,
    st.lists(st.floats(1e-3, 1e10), min_size=MIN_SAMPLES, max_size=12),
    st.integers(1, SOURCES),
)
def test_latencies_stay_positive_and_inside_their_intervals_whatever_was_measured(
    seed: int, latencies_ns: list[float], sources: int
) -> None:
    sources_ns, _, measured, _ = lab(seed, len(latencies_ns))
    result = transfer(sources_ns[:, :sources], measured, np.array(latencies_ns))
    assert np.all(result.lower_ns > 0)
    assert np.all(result.lower_ns <= result.latency_ns)
    assert np.all(result.latency_ns <= result.upper_ns)
    assert np.all(np.isfinite(result.upper_ns))


@settings(deadline=None)
@given(seeds, sample_counts, st.floats(0.1, 10))
def test_one_source_keeps_its_order(seed: int, samples: int, speed: float) -> None:
    sources_ns, _, measured, _ = lab(seed, samples)
    order_ns = sources_ns[:, :1].round(-5)  # with ties
    latency_ns = transfer(order_ns, measured, speed * order_ns[measured, 0]).latency_ns
    assert spearmanr(latency_ns, order_ns[:, 0]).statistic == pytest.approx(1)


def test_a_source_that_tells_no_networks_apart_is_no_trouble() -> None:
    sources_ns, truth_ns, measured, measured_ns = lab(0, 10)
    sources_ns[:, 0] = 1e6
    latency_ns = transfer(sources_ns, measured, measured_ns).latency_ns
    assert spearmanr(latency_ns, truth_ns).statistic > 0.95


def test_equal_measurements_give_about_equal_predictions() -> None:
    sources_ns, _, measured, _ = lab(0, 20)
    result = transfer(sources_ns, measured, np.full(20, 5e6))
    assert np.median(np.abs(result.latency_ns / 5e6 - 1)) < 0.05


@settings(deadline=None)
@given(seeds, sample_counts, st.integers(0, NETWORKS - 1))
def test_a_fit_answers_alike_for_few_networks_and_many(seed: int, samples: int, few: int) -> None:
    sources_ns, _, measured, measured_ns = lab(seed, samples)
    fitted = Transfer.fit(sources_ns, measured, measured_ns)
    expected = transfer(sources_ns, measured, measured_ns)
    assert_close(
        fitted.predict(sources_ns[:few]), Transferred(*(a[:few] for a in vars(expected).values()))
    )


def test_left_out_errors_tell_how_well_other_networks_are_predicted() -> None:
    for noise in (0.02, 0.2):
        told, true = [], []
        for seed in range(20):
            sources_ns, truth_ns, measured, measured_ns = lab(seed, 10, noise)
            told.append(leave_one_out_errors(sources_ns[measured], measured_ns).mean())
            result = transfer(sources_ns, measured, measured_ns)
            again_ns = truth_ns * np.random.default_rng(seed).lognormal(0, noise, NETWORKS)
            true.append(np.abs(result.latency_ns / again_ns - 1).mean())
        assert np.mean(told) == pytest.approx(np.mean(true), rel=0.25)


def test_what_cannot_be_used_is_refused() -> None:
    sources_ns, _, measured, measured_ns = lab(0, 5)
    with pytest.raises(ValueError, match="outside the 300 networks"):
        transfer(sources_ns, measured + NETWORKS, measured_ns)
    with pytest.raises(ValueError, match="every measured latency must be above 0"):
        transfer(sources_ns, measured, -measured_ns)
    with pytest.raises(ValueError, match=r"\(5,\) networks, but \(4,\) latencies"):
        transfer(sources_ns, measured, measured_ns[:4])
    with pytest.raises(ValueError, match=r"not \(300, 0\)"):
        transfer(sources_ns[:, :0], measured, measured_ns)
    sources_ns[7, 2], sources_ns[9, 5] = np.nan, 0.0
    with pytest.raises(ValueError, match=r"sources \[2, 5\] lack"):
        transfer(sources_ns, measured, measured_ns)
    with pytest.raises(NotEnoughData, match=r"4 networks .* there are 3"):
        leave_one_out_errors(sources_ns[:3], measured_ns[:3])
    with pytest.raises(ValueError, match=r"source"):
        Transfer.fit(np.abs(sources_ns[10:]) + 1, measured % 200, measured_ns).predict(sources_ns)
