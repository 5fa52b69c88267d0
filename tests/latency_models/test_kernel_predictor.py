from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS
from latlab.domain import kernel as k
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine

NOW_UNIX_NS = 10_000_000_000


def lookup(predictor: KernelPredictor, *networks: tuple[Kernel, ...]) -> list[int]:
    return [e.latency_ns for e in predictor.predict(*pack(networks), NOW_UNIX_NS)]


def test_a_network_of_kernels_seen_is_a_lookup(
    predictor: KernelPredictor, measured: list[MeasuredNetwork]
) -> None:
    [estimate] = predictor.predict(*pack([measured[0].kernels]), NOW_UNIX_NS)
    assert estimate.source is Source.LOOKUP
    assert estimate.coverage == 1.0
    assert estimate.samples == 40
    assert estimate.age_s == pytest.approx(10)
    assert estimate.lower_ns < estimate.latency_ns < estimate.upper_ns
    assert estimate.latency_ns == pytest.approx(measured[0].latency_ns, rel=0.1)


def test_coverage_is_the_share_of_time_from_kernels_near_those_seen(
    predictor: KernelPredictor, measured: list[MeasuredNetwork]
) -> None:
    seen = measured[0].kernels
    far = Kernel(k.CONV2D, ((1, 33, 33, 77),), (1, 33, 33, 99), (11, 11))
    mixed, alone, without = predictor.predict(*pack([(*seen, far), (far,), seen]), NOW_UNIX_NS)
    assert mixed.source is alone.source is Source.REGRESSION
    assert alone.coverage == 0.0
    sums_ns = predictor.kernel_times.sum(*pack([seen, (*seen, far)])).sums_ns.sum(axis=1)
    share = sums_ns[0] / sums_ns[1]
    assert without.coverage == 1.0
    assert mixed.coverage == pytest.approx(share, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_packing_does_not_change_what_is_predicted(
    data: st.DataObject, predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(networks), min_size=1, max_size=5))
    shuffled = [tuple(data.draw(st.permutations(network))) for network in chosen]
    together = lookup(predictor, *shuffled)
    assert together == pytest.approx([lookup(predictor, n)[0] for n in chosen], abs=1)


def test_a_network_within_a_network_is_faster(
    predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    for network in networks[40:]:
        shorter, whole = lookup(predictor, network[:-5], network)
        assert 0 < shorter < whole


def test_ten_thousand_networks_in_one_call(
    predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    table, lengths, indices = pack(networks)
    repeats = 10_000 // len(networks) + 1
    estimates = predictor.predict(
        table, np.tile(lengths, repeats), np.tile(indices, repeats), NOW_UNIX_NS
    )
    assert len(estimates) == repeats * len(networks)
    assert estimates[: len(networks)] == estimates[-len(networks) :]


def test_no_network_at_all(predictor: KernelPredictor) -> None:
    assert predictor.predict(*pack([]), NOW_UNIX_NS) == []


def test_every_unknown_kind_is_listed(
    predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    strangers = tuple(Kernel(kind, ((1, 8),), (1, 8)) for kind in ("max_pool2d", "hardswish"))
    with pytest.raises(UnknownKernelKinds, match="hardswish, max_pool2d"):
        predictor.predict(*pack([networks[0], (*networks[1], *strangers)]), NOW_UNIX_NS)


def test_a_guess_is_a_wide_bound_that_names_the_unknown_kinds(
    predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    shape = (1, 56, 56, 96)
    stranger = Kernel(k.HARDSWISH, (shape,), shape)
    known, guessed = predictor.predict(
        *pack([networks[0], (*networks[0], *[stranger] * 100)]), NOW_UNIX_NS, guess=True
    )
    assert (known.source, known.unknown_kinds) == (Source.LOOKUP, ())
    assert (guessed.source, guessed.unknown_kinds) == (Source.BOUND, (k.HARDSWISH,))
    assert guessed.coverage < known.coverage
    assert guessed.latency_ns > known.latency_ns
    assert _width(guessed) > 1.5 * _width(known)
    [alone] = predictor.predict(*pack([(stranger,)]), NOW_UNIX_NS, guess=True)
    assert alone.upper_ns > 2 * alone.latency_ns


def test_a_network_with_a_window_never_measured_has_a_wider_interval(
    predictor: KernelPredictor, networks: list[tuple[Kernel, ...]]
) -> None:
    wider = tuple(
        replace(kernel, kernel_size=(7, 7)) if kernel.kind == k.DEPTHWISE_CONV2D else kernel
        for kernel in networks[0]
    )
    usual, new = predictor.predict(*pack([networks[0], wider]), NOW_UNIX_NS)
    assert new.coverage < usual.coverage
    assert _width(new) > 1.2 * _width(usual)


def test_long_single_operators_do_not_change_what_a_sum_of_kernels_is_corrected_by(
    measured: list[MeasuredNetwork],
) -> None:
    """Each shape of this kind takes its own time, so no sum over it can be right."""
    rng = np.random.default_rng(0)
    operators = []
    for size in range(8, 40):
        shape = (1, size, size, 64)
        ns = 1e6 * float(rng.lognormal(0, 1))
        kernels = (Kernel("portable:native_layer_norm", (shape,), shape),)
        operators.append(MeasuredNetwork(kernels, (ns,), 1.02 * ns, ns, 1.05 * ns, 0))
    without, with_them = (KernelPredictor.fit(known) for known in (measured, measured + operators))
    networks = [network.kernels for network in measured[:10]]
    layer_norm = Kernel("portable:native_layer_norm", ((1, 9, 9, 64),), (1, 9, 9, 64))
    assert lookup(with_them, *networks) == pytest.approx(lookup(without, *networks), rel=0.02)
    [alone_ns] = lookup(with_them, (*networks[0], layer_norm))
    measured_ns = operators[1].latency_ns
    assert alone_ns - lookup(with_them, networks[0])[0] == pytest.approx(measured_ns, rel=0.1)


def test_single_small_operators_do_not_make_a_whole_network_certain(
    machine: Machine, networks: list[tuple[Kernel, ...]]
) -> None:
    shapes = [(1, 8, 8, channels) for channels in (8, 12, 16, 24)]
    singles = [
        *((Kernel(k.CONV2D, (shape,), shape, kernel_size=(1, 1)),) for shape in shapes),
        *((Kernel(k.DEPTHWISE_CONV2D, (shape,), shape, kernel_size=(3, 3)),) for shape in shapes),
    ]
    few = KernelPredictor.fit(machine.measure_all(singles))
    estimates = few.predict(*pack(networks), NOW_UNIX_NS, guess=True)
    truths_ns = [machine.latency_ns(network) for network in networks]
    held = [e.lower_ns <= ns <= e.upper_ns for e, ns in zip(estimates, truths_ns, strict=True)]
    assert np.mean(held) >= 0.8


def test_a_network_that_was_measured_often_counts_once(
    machine: Machine, measured: list[MeasuredNetwork], networks: list[tuple[Kernel, ...]]
) -> None:
    again = [machine.measure(network.kernels) for network in measured[:2] for _ in range(20)]
    once = KernelPredictor.fit(measured[:20])
    often = KernelPredictor.fit([*measured[:20], *again])
    assert often.samples == once.samples == 20
    assert lookup(often, *networks[40:]) == pytest.approx(lookup(once, *networks[40:]), rel=0.02)
    assert often.interval.multiple * often.deviation == pytest.approx(
        once.interval.multiple * once.deviation, rel=0.3
    )


def _width(estimate: LatencyEstimate) -> float:
    return (estimate.upper_ns - estimate.lower_ns) / estimate.latency_ns


@pytest.mark.parametrize(
    ("lengths", "indices", "message"),
    [
        ([1, 0], [0], "at least one kernel"),
        ([2], [0], "add up to 2"),
        ([1], [2], "outside the table"),
        ([1], [-1], "outside the table"),
    ],
)
def test_a_packing_that_does_not_fit(
    predictor: KernelPredictor, lengths: list[int], indices: list[int], message: str
) -> None:
    table = [Kernel(k.ADD, ((1, 8),), (1, 8))]
    with pytest.raises(ValueError, match=message):
        predictor.predict(table, np.array(lengths), np.array(indices), NOW_UNIX_NS)


def test_a_tensor_that_no_device_holds(predictor: KernelPredictor) -> None:
    absurd = Kernel(k.ADD, ((2**32,) * 9,), (2**32,) * 9)
    with pytest.raises(ValueError, match="too large for any device"):
        predictor.predict(*pack([(absurd,)]), NOW_UNIX_NS)


def test_too_few_networks_says_how_many_are_needed(measured: list[MeasuredNetwork]) -> None:
    untraced = [replace(network, kernel_ns=None) for network in measured[MIN_NETWORKS - 1 :]]
    with pytest.raises(NotEnoughData, match=f"{MIN_NETWORKS} .* there are {MIN_NETWORKS - 1}"):
        KernelPredictor.fit([*measured[: MIN_NETWORKS - 1], *untraced])


def test_the_fewest_networks_that_suffice(measured: list[MeasuredNetwork]) -> None:
    predictor = KernelPredictor.fit(measured[:MIN_NETWORKS])
    for network in measured[20:30]:
        [estimate] = predictor.predict(*pack([network.kernels]), NOW_UNIX_NS)
        assert estimate.latency_ns == pytest.approx(network.latency_ns, rel=0.25)


def test_networks_with_nothing_in_common_are_not_enough() -> None:
    kernels = [Kernel(kind, ((1, 8),), (1, 8)) for kind in (k.ADD, k.CLAMP, k.SIGMOID, k.RESHAPE)]
    with pytest.raises(NotEnoughData, match="too few kinds"):
        KernelPredictor.fit(
            [MeasuredNetwork((kernel,), (5e3,), 5e3, 4e3, 6e3, 0) for kernel in kernels]
        )


@pytest.mark.parametrize(
    ("kernel_ns", "bounds_ns"),
    [((1.0, 2.0), (4.0, 6.0)), ((1.0,), (5.5, 6.0)), ((1.0,), (4.0, 4.5)), (None, (0.0, 6.0))],
)
def test_an_observation_that_contradicts_itself(
    kernel_ns: tuple[float, ...] | None, bounds_ns: tuple[float, float]
) -> None:
    kernel = Kernel(k.ADD, ((1, 8),), (1, 8))
    with pytest.raises(ValueError, match=r"times for|cannot have the bounds"):
        MeasuredNetwork((kernel,), kernel_ns, 5.0, *bounds_ns, 0)
