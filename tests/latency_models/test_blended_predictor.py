from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau

from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.targets.average import Transferred, blend, trust_in
from latency_models.targets.blended_predictor import BlendedPredictor
from latlab.domain import kernel as k
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine

SLOWER = 2.5
Networks = list[tuple[Kernel, ...]]

positive = st.floats(1.0, 1e9)
margins = st.floats(1.001, 10.0)


@pytest.fixture(scope="module")
def slower(machine: Machine, networks: Networks) -> list[MeasuredNetwork]:
    """The networks measured on another target, on which all takes longer, without traces."""
    return [
        replace(
            measured,
            kernel_ns=None,
            latency_ns=SLOWER * measured.latency_ns,
            lower_ns=SLOWER * measured.lower_ns,
            upper_ns=SLOWER * measured.upper_ns,
        )
        for measured in machine.measure_all(networks)
    ]


def blended(
    own: KernelPredictor | None,
    source: KernelPredictor,
    measured: Sequence[MeasuredNetwork],
    networks: Networks,
) -> BlendedPredictor:
    return BlendedPredictor.fit(own, [source], measured, networks[:20])


def estimates(
    predictor: BlendedPredictor, networks: Sequence[tuple[Kernel, ...]]
) -> list[LatencyEstimate]:
    return predictor.predict(*pack(networks), now_unix_ns=0)


def mean_error(found: Sequence[LatencyEstimate], truths: Sequence[MeasuredNetwork]) -> float:
    errors = [e.latency_ns / n.latency_ns - 1 for e, n in zip(found, truths, strict=True)]
    return float(np.abs(errors).mean())


def test_without_measurements_it_is_the_others_shape_with_a_wide_interval(
    predictor: KernelPredictor, slower: list[MeasuredNetwork], networks: Networks
) -> None:
    found = estimates(blended(None, predictor, [], networks), networks[40:])
    assert {(each.source, each.samples) for each in found} == {(Source.TRANSFER, 0)}
    assert {each.coverage for each in found} == {0.0}  # nothing of the target supports it
    assert all(each.upper_ns > 3 * each.latency_ns > 9 * each.lower_ns for each in found)
    truths_ns = [network.latency_ns for network in slower[40:]]
    assert kendalltau([each.latency_ns for each in found], truths_ns).statistic > 0.9


@pytest.mark.parametrize("count", [0, 1, 10])
def test_what_the_source_knows_badly_is_less_certain(
    count: int,
    predictor: KernelPredictor,
    slower: list[MeasuredNetwork],
    networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = blended(None, predictor, slower[20 : 20 + count], networks)
    certain = estimates(both, networks[40:])
    known = KernelPredictor.predict

    def doubting(
        known_by: KernelPredictor,
        table: Sequence[Kernel],
        lengths: NDArray[np.int64],
        indices: NDArray[np.int64],
        now_unix_ns: int,
    ) -> list[LatencyEstimate]:
        return [
            replace(each, lower_ns=each.lower_ns // 9, upper_ns=9 * each.upper_ns)
            for each in known(known_by, table, lengths, indices, now_unix_ns)
        ]

    monkeypatch.setattr(KernelPredictor, "predict", doubting)
    for sure, unsure in zip(certain, estimates(both, networks[40:]), strict=True):
        assert unsure.latency_ns == sure.latency_ns
        assert unsure.lower_ns < sure.lower_ns < sure.upper_ns < unsure.upper_ns
        assert unsure.upper_ns > 9 * unsure.latency_ns > 81 * unsure.lower_ns


@pytest.mark.parametrize(("count", "error"), [(1, 0.2), (3, 0.1), (10, 0.08)])
def test_few_measurements_tell_the_scale(
    count: int,
    error: float,
    predictor: KernelPredictor,
    slower: list[MeasuredNetwork],
    networks: Networks,
) -> None:
    found = estimates(blended(None, predictor, slower[20 : 20 + count], networks), networks[40:])
    assert mean_error(found, slower[40:]) < error
    assert all(each.samples == count for each in found)


def test_with_many_measurements_the_target_s_own_predictor_decides(
    predictor: KernelPredictor, networks: Networks
) -> None:
    """The other target is one that has little in common with this one."""
    own_machine = Machine(seed=7, quirk=0.5)
    measured = own_machine.measure_all(networks)
    own = KernelPredictor.fit(measured[:40])
    both = blended(own, predictor, measured[:40], networks)
    alone = own.predict(*pack(networks[40:]), now_unix_ns=0)
    together = estimates(both, networks[40:])
    ratios = [a.latency_ns / b.latency_ns for a, b in zip(alone, together, strict=True)]
    assert np.median(np.abs(np.log(ratios))) < 0.02
    own_sources = [each.source is not Source.TRANSFER for each in together]
    assert np.mean(own_sources) > 0.8
    assert both.steadying is own.steadying


def test_kinds_that_a_source_does_not_know_are_left_to_the_own_predictor(
    predictor: KernelPredictor, slower: list[MeasuredNetwork], networks: Networks
) -> None:
    shape = (1, 8, 8, 16)
    stranger = (*networks[0], Kernel(k.HARDSWISH, (shape,), shape))
    alone = blended(None, predictor, slower[:5], networks)
    with pytest.raises(UnknownKernelKinds):
        estimates(alone, [stranger])
    both = blended(predictor, predictor, slower[:5], networks)
    [found] = both.predict(*pack([stranger]), now_unix_ns=0, guess=True)
    [own] = predictor.predict(*pack([stranger]), now_unix_ns=0, guess=True)
    assert found == own


def test_targets_with_nothing_in_common_do_not_help(predictor: KernelPredictor) -> None:
    strange = (Kernel("warp", ((1, 8),), (1, 8)),)
    measured = [MeasuredNetwork(strange, None, 5e6, 5e6, 5e6, 0)]
    with pytest.raises(NotEnoughData):
        BlendedPredictor.fit(None, [predictor], measured, [])
    with pytest.raises(NotEnoughData):
        BlendedPredictor.fit(None, [], measured, [strange])


@given(positive, margins, positive, margins)
def test_a_blend_lies_between_and_the_more_precise_counts_more(
    first_ns: float, first: float, second_ns: float, second: float
) -> None:
    def predicted(ns: float, factor: float) -> Transferred:
        return Transferred(np.array([ns]), np.array([ns / factor]), np.array([ns * factor]))

    result, [weight] = blend(predicted(first_ns, first), predicted(second_ns, second))
    least, most = sorted([first_ns, second_ns])
    assert least * (1 - 1e-9) <= result.latency_ns[0] <= most * (1 + 1e-9)
    assert (weight - 0.5) * (second - first) >= -1e-9
    assert result.lower_ns[0] <= result.latency_ns[0] <= result.upper_ns[0]
    assert result.upper_ns[0] / result.lower_ns[0] >= min(first, second) ** 2 * (1 - 1e-9)


def predictions(latencies_ns: Sequence[float], factor: float) -> Transferred:
    latency_ns = np.array(latencies_ns)
    return Transferred(latency_ns, latency_ns / factor, latency_ns * factor)


def test_errors_on_left_out_networks_decide_between_predictors_that_claim_the_same() -> None:
    truths_ns = np.geomspace(1e6, 2e7, 20)
    exact = predictions(truths_ns * np.tile([1.01, 0.99], 10), 1.2)
    wrong = predictions(truths_ns * np.tile([1.3, 0.8], 10), 1.2)
    trust = trust_in(exact, wrong, truths_ns)
    assert trust > 2
    assert trust_in(wrong, exact, truths_ns) == pytest.approx(1 / trust)


def test_few_left_out_networks_hardly_change_what_predictors_claim() -> None:
    truth_ns = np.array([1e6])
    exact, wrong = predictions([1e6], 1.2), predictions([2e6], 1.2)
    assert 1 < trust_in(exact, wrong, truth_ns) < 1.2
    assert trust_in(exact, exact, truth_ns) == 1  # two that agree


def test_a_timid_predictor_counts_more_once_it_has_been_right(
    predictor: KernelPredictor, networks: Networks
) -> None:
    truths = Machine(seed=5, quirk=0.5).measure_all(networks)
    own = KernelPredictor.fit(truths[:30])
    assert len(own.left_out) == 30
    timid = replace(
        own,
        interval=replace(own.interval, multiple=10 * own.interval.multiple),
        left_out={
            network: replace(each, half_width=10 * each.half_width)
            for network, each in own.left_out.items()
        },
    )
    believed, judged = (
        blended(each, predictor, truths[:30], networks)
        for each in (replace(timid, left_out={}), timid)
    )
    assert (believed.trust, judged.trust > 1) == (1, True)
    errors = [mean_error(estimates(b, networks[30:]), truths[30:]) for b in (believed, judged)]
    assert errors[1] < errors[0]
