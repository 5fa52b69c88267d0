from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_models.measured_networks import combined, each_once
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

KERNELS = tuple(Kernel(kind, ((1, 8),), (1, 8)) for kind in (k.ADD, k.CLAMP))
ONE = MeasuredNetwork(KERNELS, (10.0, 20.0), 30.0, 29.0, 31.0, 5, 100.0, 110.0)

MEASUREMENTS = st.builds(
    lambda latency_ns, width, traced, unix_ns, probe: MeasuredNetwork(
        KERNELS,
        (latency_ns / 3, latency_ns / 2) if traced else None,
        latency_ns,
        latency_ns / width,
        latency_ns * width,
        unix_ns,
        probe,
    ),
    st.floats(1.0, 1e12),
    st.floats(1.0, 10.0),
    st.booleans(),
    st.integers(0, 2**62),
    st.none() | st.floats(1.0, 1e9),
)


def test_one_measurement_stays_as_it_is() -> None:
    assert each_once([ONE]) == [ONE]


def test_networks_keep_their_order() -> None:
    other = replace(ONE, kernels=KERNELS[::-1])
    assert [n.kernels for n in each_once([other, ONE, other])] == [other.kernels, KERNELS]


def test_the_more_precise_measurement_counts_more_and_both_more_than_one() -> None:
    loose = replace(ONE, latency_ns=60.0, lower_ns=30.0, upper_ns=120.0, kernel_ns=None)
    both = combined([ONE, loose])
    assert both.latency_ns == pytest.approx(30.0, rel=0.02)
    assert both.kernel_ns == ONE.kernel_ns
    pair = combined([ONE, ONE])
    assert pair.upper_ns / pair.lower_ns < ONE.upper_ns / ONE.lower_ns
    assert pair.memory_probe_ns == pytest.approx(100.0)
    assert pair.traced_memory_probe_ns == pytest.approx(110.0)


@given(st.lists(MEASUREMENTS, min_size=1, max_size=6))
def test_a_combination_lies_between_its_measurements(
    measurements: list[MeasuredNetwork],
) -> None:
    whole = combined(measurements)
    latencies_ns = [network.latency_ns for network in measurements]
    assert min(latencies_ns) * (1 - 1e-9) <= whole.latency_ns <= max(latencies_ns) * (1 + 1e-9)
    assert whole.unix_ns == max(network.unix_ns for network in measurements)
    assert (whole.kernel_ns is None) == all(n.kernel_ns is None for n in measurements)
    assert (whole.memory_probe_ns is None) == all(n.memory_probe_ns is None for n in measurements)
