from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_models.features import moved_bytes
from latency_models.interference import Steadying
from latency_models.kernel_predictor import KernelPredictor
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine

QUIET_PROBE_NS = 3e6
DELAY_NS_PER_BYTE = 0.02


def beside_neighbours(
    networks: Sequence[tuple[Kernel, ...]], seed: int
) -> tuple[list[MeasuredNetwork], list[float]]:
    """Measure on a machine whose neighbours slow its memory by up to 1.4 times.

    Returns:
        The measured networks, and their true latencies in the quiet state.
    """
    rng, machine = np.random.default_rng(seed), Machine(seed, mood=0.01)
    measured = []
    for network in map(machine.measure, networks):
        busy = rng.uniform(0.9, 1.4)
        excess_ns = DELAY_NS_PER_BYTE * moved_bytes(network.kernels) * (busy - 1)
        measured.append(
            replace(
                network,
                latency_ns=network.latency_ns + excess_ns,
                lower_ns=network.lower_ns + excess_ns,
                upper_ns=network.upper_ns + excess_ns,
                memory_probe_ns=QUIET_PROBE_NS * busy,
                traced_memory_probe_ns=QUIET_PROBE_NS,
            )
        )
    probes_ns = [network.memory_probe_ns for network in measured if network.memory_probe_ns]
    quiet = float(np.quantile(probes_ns, 0.1)) / QUIET_PROBE_NS
    truth_ns = [
        machine.latency_ns(kernels) + DELAY_NS_PER_BYTE * moved_bytes(kernels) * (quiet - 1)
        for kernels in networks
    ]
    return measured, truth_ns


def error(measured: Sequence[MeasuredNetwork], truth_ns: Sequence[float]) -> float:
    latencies_ns = np.array([network.latency_ns for network in measured])
    return float(np.std(np.log(latencies_ns / truth_ns)))


@pytest.mark.parametrize("fit", [KernelPredictor.fit, WholeNetworkPredictor.fit])
def test_a_predictor_learns_what_neighbours_add(
    networks: list[tuple[Kernel, ...]], fit: type[KernelPredictor]
) -> None:
    measured, truth_ns = beside_neighbours(networks, seed=3)
    learned = fit(measured[:40]).steadying  # type: ignore[call-arg, arg-type]
    held_out = measured[40:]
    assert error(list(map(learned, held_out)), truth_ns[40:]) < 0.5 * error(held_out, truth_ns[40:])


def test_networks_measured_again_tell_it_without_a_good_prediction(
    networks: list[tuple[Kernel, ...]],
) -> None:
    measured, truth_ns = beside_neighbours(networks[:5] * 8, seed=4)
    guessed_ns = np.random.default_rng(0).lognormal(0, 0.1, 5) * truth_ns[:5]
    steadying = Steadying.fit(measured, np.tile(guessed_ns, 8))
    assert steadying.delay_ns_per_byte == pytest.approx(true_delay(steadying), rel=0.2)


def true_delay(steadying: Steadying) -> float:
    return DELAY_NS_PER_BYTE * steadying.quiet_probe_ns / QUIET_PROBE_NS


def test_the_quiet_state_is_a_low_quantile_of_the_probes(
    networks: list[tuple[Kernel, ...]],
) -> None:
    measured, truth_ns = beside_neighbours(networks, seed=5)
    steadying = Steadying.fit(measured, np.array(truth_ns))
    probes_ns = [network.memory_probe_ns for network in measured if network.memory_probe_ns]
    assert np.min(probes_ns) < steadying.quiet_probe_ns < np.quantile(probes_ns, 0.25)
    correction = steadying.correction
    assert correction is not None
    assert correction.quiet_probe_ns == round(steadying.quiet_probe_ns)
    errors = [
        steadying(n).latency_ns / truth - 1 for n, truth in zip(measured, truth_ns, strict=True)
    ]
    assert abs(np.median(errors)) < 0.01


def test_the_coefficient_is_as_uncertain_as_it_says(networks: list[tuple[Kernel, ...]]) -> None:
    within, errors = [], []
    for seed in range(30):
        measured, truth_ns = beside_neighbours(networks[:10] * 4, seed=100 + seed)
        guessed_ns = np.random.default_rng(seed).lognormal(0, 0.04, 10) * truth_ns[:10]
        steadying = Steadying.fit(measured, np.tile(guessed_ns, 4))
        error = steadying.delay_error_ns_per_byte
        within.append(abs(steadying.delay_ns_per_byte - true_delay(steadying)) < 1.645 * error)
        errors.append(error)
    assert 0.8 <= np.mean(within) <= 1
    assert 0 < np.median(errors) < 0.5 * DELAY_NS_PER_BYTE


def test_more_measurements_make_the_coefficient_surer(
    networks: list[tuple[Kernel, ...]],
) -> None:
    few, many = (
        Steadying.fit(measured, np.array(truth_ns)).delay_error_ns_per_byte
        for measured, truth_ns in (
            beside_neighbours(networks[:4], seed=6),
            beside_neighbours(networks * 3, seed=6),
        )
    )
    assert many < 0.7 * few


def test_bounds_widen_with_the_distance_from_the_quiet_state(
    measured: list[MeasuredNetwork],
) -> None:
    steadying = Steadying(DELAY_NS_PER_BYTE, 3e6, 2e6, 9e6, 0.5 * DELAY_NS_PER_BYTE)
    widths = []
    for probe_ns in (None, 3e6, 4e6, 6e6):
        steady = steadying(replace(measured[0], memory_probe_ns=probe_ns))
        widths.append(np.log(steady.upper_ns / steady.lower_ns))
    assert widths[0] == pytest.approx(widths[1])
    assert widths[1] < widths[2] < widths[3]
    certain = replace(steadying, delay_error_ns_per_byte=0.0)
    steady = certain(replace(measured[0], memory_probe_ns=6e6))
    assert widths[0] <= np.log(steady.upper_ns / steady.lower_ns) < widths[3]


def test_steady_latencies_are_left_nearly_alone(measured: list[MeasuredNetwork]) -> None:
    rng = np.random.default_rng(1)
    probed = [replace(n, memory_probe_ns=3e6 * rng.lognormal(0, 0.1)) for n in measured[:30]]
    steadying = KernelPredictor.fit(probed).steadying
    changes = [steadying(n).latency_ns / n.latency_ns - 1 for n in probed]
    assert np.abs(changes).mean() < 0.01


def test_without_probes_everything_stays_as_measured(measured: list[MeasuredNetwork]) -> None:
    steadying = Steadying.fit(measured, np.array([n.latency_ns for n in measured]))
    assert steadying == Steadying.none()
    assert [steadying(n).latency_ns for n in measured] == [n.latency_ns for n in measured]


@given(st.floats(0, 10), st.floats(1e3, 1e9), st.none() | st.floats(1, 1e12), st.floats(1e3, 1e9))
def test_whatever_the_probe_a_latency_stays_positive_in_its_interval(
    delay: float, usual_ns: float, probe_ns: float | None, latency_ns: float
) -> None:
    steadying = Steadying(delay, usual_ns, 0.7 * usual_ns, 1.5 * usual_ns, 0.2 * delay)
    kernel = Kernel("add", ((1, 8, 8, 16), (1, 8, 8, 16)), (1, 8, 8, 16))
    network = MeasuredNetwork(
        (kernel, kernel),
        (latency_ns / 2, latency_ns / 2),
        latency_ns,
        0.9 * latency_ns,
        1.1 * latency_ns,
        0,
        probe_ns,
        probe_ns,
    )
    steady = steadying(network)
    assert 0 < steady.lower_ns <= steady.latency_ns <= steady.upper_ns
    assert steady.kernel_ns is not None
    assert min(steady.kernel_ns) > 0
    if probe_ns is None:
        assert steady == network
