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
        The measured networks, and their true latencies beside the usual neighbours.
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
    usual = np.median([network.memory_probe_ns for network in measured]) / QUIET_PROBE_NS
    truth_ns = [
        machine.latency_ns(kernels) + DELAY_NS_PER_BYTE * moved_bytes(kernels) * (usual - 1)
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
    quiet_delay = DELAY_NS_PER_BYTE * steadying.usual_probe_ns / QUIET_PROBE_NS
    assert steadying.delay_ns_per_byte == pytest.approx(quiet_delay, rel=0.2)


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
    steadying = Steadying(delay, usual_ns, 0.7 * usual_ns, 1.5 * usual_ns)
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
