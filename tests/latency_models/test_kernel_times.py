"""The lookup table, the regressors, and their combination."""

from __future__ import annotations

from dataclasses import replace
from math import log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_models.kernel_memory import KernelMemory
from latency_models.kernel_times import KernelTimes, lookup_table
from latency_models.packing import pack
from latency_models.rates import Rates, _costs
from latency_models.regressor import KernelRegressor
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine

RATES = Rates(call_ns=1_000, multiply_add_ns=0.05, byte_ns=0.1, element_ns=2.0, deviation=1.0)
ADD = Kernel(k.ADD, ((1, 7, 7, 8), (1, 7, 7, 8)), (1, 7, 7, 8))
SIGMOID = Kernel(k.SIGMOID, ((1, 1, 1, 8),), (1, 1, 1, 8))


def network(*kernels: tuple[Kernel, float]) -> MeasuredNetwork:
    return MeasuredNetwork(
        tuple(kernel for kernel, _ in kernels), tuple(ns for _, ns in kernels), 2.0, 1.0, 3.0, 0
    )


def pointwise(pixels: int, in_channels: int, channels: int) -> Kernel:
    return Kernel(k.CONV2D, ((1, pixels, pixels, in_channels),), (1, pixels, pixels, channels))


def test_the_table_pools_over_networks_and_counts_each_once() -> None:
    table = lookup_table(
        [
            network((ADD, 10.0), (ADD, 30.0), (SIGMOID, 5.0)),
            network((ADD, 40.0)),
            MeasuredNetwork((ADD,), None, 2.0, 1.0, 3.0, 0),
        ]
    )
    assert (table[ADD].mean_ns, table[ADD].networks) == (30.0, 2)
    assert table[ADD].spread_ns == pytest.approx(200**0.5)
    assert (table[SIGMOID].mean_ns, table[SIGMOID].spread_ns, table[SIGMOID].networks) == (5, 0, 1)


def test_what_was_measured_is_looked_up_exactly() -> None:
    kernels = [pointwise(14, 16 * i, 16 * i + 8) for i in range(1, 20)]
    odd_ns = [5_000.0 * (1 + i % 3) for i in range(len(kernels))]  # no shape explains these
    times = KernelTimes.fit([network(*zip(kernels, odd_ns, strict=True))])
    kernel_ns, seen = times.predict(kernels)
    assert kernel_ns.tolist() == odd_ns
    assert seen.all()


def test_kernels_of_unknown_kinds_are_listed_and_guessed_from_the_rates() -> None:
    times = KernelTimes.fit([network((ADD, 10.0))])
    strangers = [Kernel(kind, ((1, 8),), (1, 8)) for kind in ("portable:aten.erf.out", "clamp")]
    assert times.unknown_kinds([ADD, *strangers]) == ["clamp", "portable:aten.erf.out"]
    kernel_ns, seen = times.predict([ADD, *strangers])
    assert kernel_ns[1:].tolist() == times.rates.guess_ns(strangers).tolist()
    assert seen.tolist() == [True, False, False]


MULTIPLYING = [pointwise(*shape) for shape in ((7, 256, 64), (14, 64, 256), (56, 16, 16))]
MULTIPLYING += [Kernel(k.FULLY_CONNECTED, ((1, n),), (1, n)) for n in (64, 256, 1024)]
SIZES = (7, 14, 28, 56)


def moving(kind: str) -> list[Kernel]:
    return [Kernel(kind, ((1, n, n, 64),) * 2, (1, n, n, 64)) for n in SIZES]


def test_rates_are_those_of_the_device_and_know_how_wrong_they_are() -> None:
    kernels = [*MULTIPLYING, *moving(k.ADD), *moving("multiply"), *moving("portable:where")]
    exact = Rates.fit({kernel: _exact_ns(kernel) for kernel in kernels})
    guesses_ns = exact.guess_ns(kernels)
    assert guesses_ns == pytest.approx([_exact_ns(kernel) for kernel in kernels], rel=0.5)
    assert exact.deviation == pytest.approx(log(2))  # the least that is assumed of another kind
    slow_adds = {kernel: 20 * _exact_ns(kernel) for kernel in moving(k.ADD)}
    rough = Rates.fit({kernel: _exact_ns(kernel) for kernel in kernels} | slow_adds)
    assert rough.deviation > 1.0


def test_rates_are_exact_where_the_device_is_as_usual() -> None:
    """One whose calls, bytes and elements compare with multiply-adds as on most devices."""
    kernels = [*MULTIPLYING, *moving(k.ADD), *moving("multiply"), *moving("portable:where")]
    rates = np.array([500, 0.2, 0.3, 6.0])
    exact_ns = {kernel: float(rates @ _costs(kernel)) for kernel in kernels}
    assert Rates.fit(exact_ns).guess_ns(kernels) == pytest.approx([*exact_ns.values()], rel=0.01)


def test_a_kind_that_is_very_slow_or_fast_moves_the_others_rates_little() -> None:
    kinds = [k.ADD, "multiply", "clamp", "sigmoid", "portable:where", "portable:cat"]
    usual = {each: _exact_ns(each) for each in MULTIPLYING}
    usual |= {each: _exact_ns(each) for kind in kinds for each in moving(kind)}
    expected_ns = Rates.fit(usual).guess_ns(moving("tanh"))
    for factor in (0.01, 100):
        odd = usual | {each: factor * _exact_ns(each) for each in moving("clamp")}
        guesses_ns = Rates.fit(odd).guess_ns(moving("tanh"))
        assert (0.5 * expected_ns < guesses_ns).all()
        assert (guesses_ns < 2 * expected_ns).all()


def test_portable_kernels_are_guessed_to_be_slower_than_those_of_the_backend() -> None:
    """Also where none was measured."""
    exact = Rates.fit({each: _exact_ns(each) for each in (*MULTIPLYING, *moving(k.ADD))})
    portable_ns = exact.guess_ns(moving("portable:where"))
    assert (portable_ns > 2 * exact.guess_ns(moving(k.ADD))).all()


def _exact_ns(kernel: Kernel) -> float:
    """Return 2 µs, 0.05 ns for each multiply-add, 0.1 ns for each byte and 2 ns an element."""
    _, macs, moved, elements = _costs(kernel)
    return 2_000 + 0.05 * macs + 0.1 * moved + 2 * elements


def test_one_large_kernel_of_a_kind_says_little_of_others_of_other_shapes() -> None:
    """A single mean over pixels must not make a mean over channels take for ever."""
    mean = Kernel("portable:mean", ((1, 320, 8, 8),), (1, 320))
    times = KernelTimes.fit([network((mean, 44_000.0), *((a, 5_000.0) for a in moving(k.ADD)))])
    [other_ns], _ = times.predict([Kernel("portable:mean", ((1, 64, 512),), (1, 64, 1))])
    assert 10_000 < other_ns < 200_000


def test_times_beyond_all_reason_are_summed_without_overflow() -> None:
    times = KernelTimes.fit([network((ADD, 10.0))])
    shape = (1, 14, 14, 64)
    huge = KernelRegressor(np.full_like(times.regressors[k.ADD].coefficients, 1e180), None)
    times = replace(times, regressors={k.ADD: huge}, memory=KernelMemory())
    sums = times.sum(*pack([(ADD, Kernel(k.ADD, (shape, shape), shape))]))
    assert np.isfinite(sums.sums_ns).all()
    assert 0 < sums.deviations[0] < 10


def test_a_new_window_is_less_certain_than_a_new_shape(measured: list[MeasuredNetwork]) -> None:
    times = KernelTimes.fit(measured[:20])
    shape = (1, 28, 28, 72)
    known, new = (
        (Kernel(k.DEPTHWISE_CONV2D, (shape,), shape, (size, size), groups=72, activation="relu"),)
        for size in (5, 7)
    )
    known_sums, new_sums = (times.sum(*pack([network])) for network in (known, new))
    assert known_sums.coverage[0] == 1.0
    assert new_sums.coverage[0] == 0.0
    assert new_sums.deviations[0] > max(0.2, 2 * known_sums.deviations[0])


def test_the_order_of_networks_does_not_matter(measured: list[MeasuredNetwork]) -> None:
    table, _, _ = pack(network.kernels for network in measured[:16])
    forwards, _ = KernelTimes.fit(measured[:12]).predict(table)
    backwards, _ = KernelTimes.fit(measured[11::-1]).predict(table)
    np.testing.assert_allclose(backwards, forwards, rtol=1e-6)


def test_unseen_kernels_are_predicted_from_their_shape(
    machine: Machine, measured: list[MeasuredNetwork]
) -> None:
    times = KernelTimes.fit(measured[:20])
    table, _, _ = pack(network.kernels for network in measured[20:])
    kernel_ns, seen = times.predict(table)
    true_ns = np.array([machine.kernel_ns(kernel) for kernel in table])
    large = ~seen & (true_ns > 10_000)
    assert large.sum() > 50
    assert np.median(np.abs(kernel_ns / true_ns - 1)[large]) < 0.05


def test_tiny_kernels_that_read_as_zero_are_no_trouble() -> None:
    kernels = [pointwise(1, i, i) for i in range(1, 30)]
    regressor = KernelRegressor.fit(kernels, np.zeros(len(kernels)), RATES)
    kernel_ns, _ = regressor.predict([*kernels, pointwise(1, 64, 64)])
    assert kernel_ns.max() < 200


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(1, 20), st.integers(1, 20))
def test_far_beyond_what_was_seen_time_grows_with_work(
    count: int, times_more: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kernels = [pointwise(14, *rng.integers(8, 64, 2).tolist()) for _ in range(count)]
    kernel_ns = np.array([0.1 * 196 * c.inputs[0][-1] * c.output[-1] for c in kernels])
    regressor = KernelRegressor.fit(kernels, kernel_ns, RATES)
    (near_ns, far_ns), _ = regressor.predict(
        [pointwise(14, 400, 400), pointwise(14, 400, 400 * (1 + times_more))]
    )
    assert far_ns >= 0.8 * near_ns > 0


def test_beside_one_tiny_kernel_time_grows_with_work_at_most(
    measured: list[MeasuredNetwork],
) -> None:
    tiny, large = (Kernel(k.HARDSWISH, (shape,), shape) for shape in ((1,), (1, 56, 56, 64)))
    single = MeasuredNetwork((tiny,), (600.0,), 30_000, 29_000, 31_000, 0)
    times = KernelTimes.fit([*measured[:20], single])
    [large_ns], _ = times.predict([large])
    assert large_ns <= 600.0 * prod(large.output)
