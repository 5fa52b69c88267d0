from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from latency_models.evaluate import metrics
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS
from latency_models.whole_network_covariance import (
    NAMES,
    CostUnits,
    Covariance,
    Makeup,
    Prior,
    vocabulary_of,
)
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latency_models.whole_network_process import Likelihood
from latlab.domain import kernel as k
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork, Structure
from tests.latency_models.synthetic import Machine

NOW_UNIX_NS = 10_000_000_000
TRAIN = 40


@pytest.fixture(scope="module")
def untraced(measured: list[MeasuredNetwork]) -> list[MeasuredNetwork]:
    return [replace(network, kernel_ns=None) for network in measured]


@pytest.fixture(scope="module")
def whole(untraced: list[MeasuredNetwork]) -> WholeNetworkPredictor:
    return WholeNetworkPredictor.fit(untraced[:TRAIN])


def estimate(
    predictor: WholeNetworkPredictor, *networks: tuple[Kernel, ...]
) -> list[LatencyEstimate]:
    return predictor.predict(*pack(networks), NOW_UNIX_NS)


def latencies_ns(
    predictor: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(e.latency_ns) for e in estimate(predictor, *networks)])


def with_latency(kernels: tuple[Kernel, ...], latency_ns: float) -> MeasuredNetwork:
    return MeasuredNetwork(kernels, None, latency_ns, latency_ns, latency_ns, 0)


def test_networks_held_out_are_predicted(
    whole: WholeNetworkPredictor, untraced: list[MeasuredNetwork]
) -> None:
    held_out = untraced[TRAIN:]
    estimates = estimate(whole, *(network.kernels for network in held_out))
    measured_ns = np.array([network.latency_ns for network in held_out])
    score = metrics(measured_ns, np.array([float(e.latency_ns) for e in estimates]))
    assert score.kendall > 0.8
    assert score.within_10pct > 0.7
    inside = [
        e.lower_ns <= network.latency_ns <= e.upper_ns
        for e, network in zip(estimates, held_out, strict=True)
    ]
    assert np.mean(inside) >= 0.6  # of 20; over many draws it is 0.9
    assert all(e.source is Source.REGRESSION and e.samples == TRAIN for e in estimates)


def test_traces_change_nothing(
    whole: WholeNetworkPredictor,
    measured: list[MeasuredNetwork],
    networks: list[tuple[Kernel, ...]],
) -> None:
    traced = WholeNetworkPredictor.fit(measured[:TRAIN])
    assert estimate(traced, *networks) == estimate(whole, *networks)


def test_latencies_that_are_sums_of_costs_are_learned_from_few(
    networks: list[tuple[Kernel, ...]],
) -> None:
    def latency_ns(network: tuple[Kernel, ...]) -> float:
        moved = sum(prod(x.output) + sum(map(prod, x.inputs)) for x in network)
        return 50_000 + 0.05 * sum(kernel.multiply_adds for kernel in network) + 0.4 * moved

    predictor = WholeNetworkPredictor.fit([with_latency(n, latency_ns(n)) for n in networks[:20]])
    truth_ns = np.array([latency_ns(network) for network in networks[20:]])
    assert latencies_ns(predictor, networks[20:]) == pytest.approx(truth_ns, rel=0.02)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_time_does_not_matter(
    factor: float,
    whole: WholeNetworkPredictor,
    untraced: list[MeasuredNetwork],
    networks: list[tuple[Kernel, ...]],
) -> None:
    other = WholeNetworkPredictor.fit(
        [with_latency(n.kernels, n.latency_ns * factor) for n in untraced[:TRAIN]]
    )
    expected = factor * latencies_ns(whole, networks)
    assert latencies_ns(other, networks) == pytest.approx(expected, rel=1e-2)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_packing_does_not_change_what_is_predicted(
    data: st.DataObject, whole: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(networks), min_size=1, max_size=5))
    shuffled = [tuple(data.draw(st.permutations(network))) for network in chosen]
    one_by_one = [estimate(whole, network)[0].latency_ns for network in chosen]
    together = [e.latency_ns for e in estimate(whole, *shuffled)]
    assert together == pytest.approx(one_by_one, abs=1)


def test_a_latency_is_the_fixed_part_and_its_kernels(
    whole: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    [of_whole] = estimate(whole, networks[TRAIN])
    expected_ns = whole.fixed_ns + whole.kernel_ns(networks[TRAIN]).sum()
    assert of_whole.latency_ns == pytest.approx(expected_ns, rel=1e-6)


def test_coverage_is_the_share_of_time_from_kernels_near_those_seen(
    whole: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    far = Kernel(k.CONV2D, ((1, 33, 33, 77),), (1, 33, 33, 99), (11, 11))
    seen, mixed, alone = estimate(whole, networks[0], (*networks[0], far), (far,))
    assert seen.coverage == pytest.approx(1.0)
    assert 0.0 < mixed.coverage < 1.0
    assert alone.coverage == 0.0
    assert seen.latency_ns < mixed.latency_ns


def test_a_prediction_is_never_negative(networks: list[tuple[Kernel, ...]]) -> None:
    work = [float(sum(kernel.multiply_adds for kernel in network)) for network in networks]
    fixed = -0.9 * min(work)
    predictor = WholeNetworkPredictor.fit(
        [with_latency(n, w + fixed) for n, w in zip(networks, work, strict=True)]
    )
    [of_tiny] = estimate(predictor, (Kernel(k.ADD, ((1, 1, 1, 8),) * 2, (1, 1, 1, 8)),))
    assert predictor.fixed_ns < 0
    assert of_tiny.latency_ns == 1
    assert 0 <= of_tiny.lower_ns <= 1 <= of_tiny.upper_ns


def test_no_network_at_all(whole: WholeNetworkPredictor) -> None:
    assert estimate(whole) == []


def test_every_unknown_kind_is_listed(
    whole: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    strangers = tuple(Kernel(kind, ((1, 8),), (1, 8)) for kind in ("max_pool2d", "hardswish"))
    with pytest.raises(UnknownKernelKinds, match="hardswish, max_pool2d"):
        estimate(whole, networks[0], (*networks[1], *strangers))


def test_a_guess_is_a_bound_that_names_the_unknown_kinds(
    whole: WholeNetworkPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    shape = (1, 112, 112, 96)
    stranger = Kernel(k.HARDSWISH, (shape,), shape)
    packed = pack([networks[0], (*networks[0], *[stranger] * 500)])
    known, guessed = whole.predict(*packed, NOW_UNIX_NS, guess=True)
    assert (known.source, known.unknown_kinds) == (Source.REGRESSION, ())
    assert (guessed.source, guessed.unknown_kinds) == (Source.BOUND, (k.HARDSWISH,))
    assert guessed.coverage < known.coverage
    assert guessed.latency_ns > known.latency_ns
    assert guessed.upper_ns / guessed.latency_ns > known.upper_ns / known.latency_ns


def test_a_network_that_was_measured_often_counts_once(
    whole: WholeNetworkPredictor, untraced: list[MeasuredNetwork]
) -> None:
    again = [replace(untraced[0], unix_ns=1)] * 20
    often = WholeNetworkPredictor.fit([*untraced[:TRAIN], *again])
    assert often.samples == TRAIN
    networks = [network.kernels for network in untraced[TRAIN:]]
    assert latencies_ns(often, networks) == pytest.approx(latencies_ns(whole, networks), rel=1e-3)


def test_kernels_that_run_though_nothing_uses_their_output_are_learned(
    networks: list[tuple[Kernel, ...]], machine: Machine
) -> None:
    rng = np.random.default_rng(0)
    dead = [tuple(rng.choice(len(n), rng.integers(0, 12), replace=False)) for n in networks]
    structures = [
        Structure(tuple(network[row] for row in rows))
        for network, rows in zip(networks, dead, strict=True)
    ]
    measured = [
        replace(
            with_latency(network, machine.latency_ns((*network, *structure.dead_kernels))),
            structure=structure,
        )
        for network, structure in zip(networks, structures, strict=True)
    ]
    errors = [
        held_out_error(measured),
        held_out_error([replace(n, structure=None) for n in measured]),
    ]
    assert errors[0] < 0.8 * errors[1]


def test_what_only_decisions_tell_is_learned(
    networks: list[tuple[Kernel, ...]], machine: Machine
) -> None:
    """The same kernels take longer in another order, which the kernels' counts do not show."""
    rng = np.random.default_rng(0)
    decisions = rng.integers(0, 3, (len(networks), 4))
    factors = 1 + 0.2 * (decisions[:, 0] == 1) - 0.1 * (decisions[:, 2] == decisions[:, 3])
    measured = [
        replace(
            with_latency(network, machine.latency_ns(network) * factor),
            structure=Structure(decisions=tuple(f"{i}: {x}" for i, x in enumerate(made))),
        )
        for network, factor, made in zip(networks, factors, decisions.tolist(), strict=True)
    ]
    errors = [
        held_out_error(measured),
        held_out_error([replace(n, structure=None) for n in measured]),
    ]
    assert errors[0] < 0.8 * errors[1]


def held_out_error(networks: list[MeasuredNetwork]) -> float:
    predictor = WholeNetworkPredictor.fit(networks[:TRAIN])
    estimates = predictor.predict(
        *pack(network.kernels for network in networks[TRAIN:]),
        NOW_UNIX_NS,
        structures=[network.structure for network in networks[TRAIN:]],
    )
    return float(
        np.mean(
            [
                abs(estimate.latency_ns / network.latency_ns - 1)
                for estimate, network in zip(estimates, networks[TRAIN:], strict=True)
            ]
        )
    )


def test_networks_with_the_same_kernels_and_other_decisions_are_different(
    untraced: list[MeasuredNetwork],
) -> None:
    twins = [
        replace(untraced[0], structure=Structure(decisions=(f"order {order}",)))
        for order in range(MIN_NETWORKS)
    ]
    assert WholeNetworkPredictor.fit(twins).samples == MIN_NETWORKS


def test_a_few_disturbed_measurements_change_little(
    whole: WholeNetworkPredictor, untraced: list[MeasuredNetwork]
) -> None:
    disturbed = [
        with_latency(network.kernels, network.latency_ns * (3.0 if row in (7, 23) else 1.0))
        for row, network in enumerate(untraced[:TRAIN])
    ]
    networks = [network.kernels for network in untraced[TRAIN:]]
    ratios = latencies_ns(WholeNetworkPredictor.fit(disturbed), networks)
    ratios /= latencies_ns(whole, networks)
    assert np.abs(ratios - 1).mean() < 0.12


def test_of_too_many_networks_some_are_used_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch, untraced: list[MeasuredNetwork]
) -> None:
    monkeypatch.setattr("latency_models.whole_network_predictor._MAX_NETWORKS", 30)
    predictor = WholeNetworkPredictor.fit(untraced)
    assert (predictor.samples, len(predictor.process.weights)) == (len(untraced), 30)


def test_the_slopes_of_the_likelihood_are_those_of_its_values(
    networks: list[tuple[Kernel, ...]],
) -> None:
    structures = [
        Structure(n[:3], (f"first: {i % 2}", f"second: {i % 3}")) for i, n in enumerate(networks)
    ]
    makeup = Makeup.of(networks, structures, vocabulary_of(structures))
    units = CostUnits.fit(makeup.kernels, makeup.running + makeup.dead)
    rng = np.random.default_rng(0)
    likelihood = Likelihood(
        Covariance(units, makeup, makeup),
        rng.lognormal(0, 0.3, len(networks)),
        rng.uniform(0.1, 1, len(networks)),
    )
    logs = np.log([getattr(Prior(), name) for name in NAMES]) + rng.normal(0, 0.5, len(NAMES))
    error = check_grad(
        lambda x: likelihood.surprise(x)[0], lambda x: likelihood.surprise(x)[1], logs
    )
    assert error < 1e-3 * np.linalg.norm(likelihood.surprise(logs)[1])


def test_too_few_networks_says_how_many_are_needed(untraced: list[MeasuredNetwork]) -> None:
    with pytest.raises(NotEnoughData, match=f"{MIN_NETWORKS} .* there are {MIN_NETWORKS - 1}"):
        WholeNetworkPredictor.fit(untraced[: MIN_NETWORKS - 1])


def test_the_fewest_networks_that_suffice(untraced: list[MeasuredNetwork]) -> None:
    predictor = WholeNetworkPredictor.fit(untraced[:MIN_NETWORKS])
    for network in untraced[20:30]:
        [of_network] = estimate(predictor, network.kernels)
        assert network.latency_ns / 4 < of_network.latency_ns < 4 * network.latency_ns
