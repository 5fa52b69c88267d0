"""Predictors return an estimate for extreme measurements, or say that they are too few."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latency_models.evaluate import evaluate
from latency_models.interference import Steadying
from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latency_models.targets.transfer import leave_one_out_errors, transfer
from latency_models.whole_network_predictor import WholeNetworkPredictor
from latlab.domain import kernel as k
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import MAX_LATENCY_NS, LatencyEstimate, whole_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.edges import HOUR_NS, latencies_ns, measured_networks, slower
from tests.latency_models.synthetic import Machine, random_networks

FITS = (KernelPredictor.fit, WholeNetworkPredictor.fit)
Fit = Callable[[Sequence[MeasuredNetwork]], KernelPredictor | WholeNetworkPredictor]

edges = settings(
    max_examples=25,  # each fits a predictor
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def assert_sane(estimates: Sequence[LatencyEstimate]) -> None:
    for estimate in estimates:
        assert 1 <= estimate.lower_ns <= estimate.latency_ns <= estimate.upper_ns <= MAX_LATENCY_NS
        assert 0 <= estimate.coverage <= 1 + 1e-9


def check(
    fit: Fit, networks: Sequence[MeasuredNetwork]
) -> KernelPredictor | WholeNetworkPredictor | None:
    """Check that a predictor predicts all networks of known kinds, or raises a known error.

    Returns the predictor, or None where there is not enough data for one.
    """
    try:
        predictor = fit(networks)
    except NotEnoughData:
        return None
    for steady in map(predictor.steadying, networks):
        assert 0 < steady.lower_ns <= steady.latency_ns <= steady.upper_ns < math.inf
    known = [network.kernels for network in networks if network.kernels]
    if isinstance(predictor, KernelPredictor):  # it learns only from traces
        kinds = set(predictor.kernel_times.kinds)
        known = [n for n in known if {kernel.kind for kernel in n} <= kinds]
    table, lengths, indices = pack([*known, *map(grown, known)])
    assert_sane(predictor.predict(table, lengths, indices, now_unix_ns=100))
    return predictor


def grown(kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
    """Return a network of the same kinds that is sixteen times as large."""
    return tuple(
        replace(kernel, output=(*kernel.output[:-1], 16 * kernel.output[-1])) for kernel in kernels
    )


@pytest.mark.parametrize("fit", FITS)
@edges
@given(networks=measured_networks(most=9))
def test_any_measurements_give_sane_estimates_or_are_too_few(
    fit: Fit, networks: list[MeasuredNetwork]
) -> None:
    check(fit, networks)


@pytest.mark.parametrize("tiny_ns", [5e-324, 2.2e-309, 1.3e-106, 1e-9])
def test_a_kernel_time_below_any_clock_counts_as_none(tiny_ns: float) -> None:
    kernel = Kernel(k.DEPTHWISE_CONV2D, ((1, 1, 1, 1),), (1, 1, 1, 1))

    def fitted(least_ns: float) -> KernelPredictor:
        networks = [
            MeasuredNetwork((kernel,) * count, times_ns, 1.0, 1.0, 1.0, count)
            for count, times_ns in [
                (5, (0.0, 0.0, 0.0, 0.0, least_ns)),
                (1, (least_ns,)),
                (2, (0.0, 1_000.0)),
                (3, (0.0, 0.0, least_ns)),
            ]
        ]
        return KernelPredictor.fit(networks)

    table, lengths, indices = pack([(kernel,), (kernel, kernel)])
    assert fitted(tiny_ns).predict(table, lengths, indices, now_unix_ns=9) == (
        fitted(0.0).predict(table, lengths, indices, now_unix_ns=9)
    )


@pytest.mark.parametrize("fit", FITS)
def test_a_network_whose_kernels_took_no_time_is_one_like_others(fit: Fit) -> None:
    measured = Machine(seed=0).measure_all(random_networks(8, seed=1))
    tiny = Kernel(k.CLAMP, ((1, 1),), (1, 1))
    probed = [
        replace(network, memory_probe_ns=3e6 + 1e5 * row, traced_memory_probe_ns=3e6)
        for row, network in enumerate(measured)
    ]
    zero = MeasuredNetwork((tiny,), (0.0,), 40.0, 39.0, 41.0, 9, 3e6, 3e6)
    predictor = fit([*probed, zero, replace(zero, unix_ns=10)])
    assert predictor.steadying.is_learned
    assert predictor.steadying(zero).kernel_ns == (0.0,)
    assert predictor.steadying(zero).latency_ns > 0
    known = [zero.kernels, *(network.kernels for network in probed)]
    tiny_one, *others = predictor.predict(*pack(known), 0)
    assert_sane([tiny_one, *others])
    for estimate, network in zip(others, probed, strict=True):
        assert estimate.latency_ns == pytest.approx(network.latency_ns, rel=0.25)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_one_outlier_costs_the_others_little(fit: Fit, factor: float) -> None:
    measured = Machine(seed=0).measure_all(random_networks(24, seed=1))
    spoiled = [*measured[:-1], slower(measured[-1], factor)]
    predictor = check(fit, spoiled)
    assert predictor is not None
    if fit == KernelPredictor.fit:  # without kernel times an outlier costs more
        estimates = predictor.predict(*pack(network.kernels for network in measured), 0)
        errors = [
            abs(estimate.latency_ns / network.latency_ns - 1)
            for estimate, network in zip(estimates, measured, strict=True)
        ]
        assert np.median(errors) < 0.1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e5])
def test_networks_of_a_nanosecond_and_of_an_hour(fit: Fit, scale: float) -> None:
    measured = Machine(seed=0).measure_all(random_networks(8, seed=1))
    check(fit, [slower(network, scale) for network in measured])
    check(fit, [slower(n, scale if row % 2 else 1.0) for row, n in enumerate(measured)])


@pytest.mark.parametrize("fit", FITS)
def test_networks_of_no_kernels_tell_nothing(fit: Fit) -> None:
    measured = Machine(seed=0).measure_all(random_networks(6, seed=1))
    nothing = MeasuredNetwork((), (), 40.0, 39.0, 41.0, 0, 3e6, 3e6)
    with pytest.raises(NotEnoughData):
        fit([nothing] * 8)
    with_it, without = fit([*measured, nothing]), fit(measured)
    wanted = pack(network.kernels for network in measured)
    assert with_it.predict(*wanted, 0) == without.predict(*wanted, 0)


def test_the_steadying_of_a_network_that_took_no_time() -> None:
    nothing = MeasuredNetwork((), (), 40.0, 39.0, 41.0, 0, 100.0, 100.0)
    assert Steadying(0.1, 100.0, 50.0, 200.0, 0.01)(nothing) == nothing


@given(
    st.sampled_from([-1.0, 0.0, math.nan, math.inf, 1e-300, 1e300]),
    st.floats(0, 1e6),
    latencies_ns,
)
def test_no_probe_takes_out_or_puts_in_more_than_half(
    probe_ns: float, delay: float, latency_ns: float
) -> None:
    large = Kernel(k.ADD, ((1, 512, 512, 64),) * 2, (1, 512, 512, 64))
    network = MeasuredNetwork(
        (large,), (latency_ns,), latency_ns, latency_ns, latency_ns, 0, probe_ns, probe_ns
    )
    steady = Steadying(delay, 3e6, 1e6, 9e6, 0.1 * delay)(network)
    assert 0.5 * latency_ns <= steady.latency_ns <= 1.5 * latency_ns
    assert steady.kernel_ns is not None
    assert 0.5 * latency_ns <= sum(steady.kernel_ns) <= 1.5 * latency_ns


@edges
@given(measured_networks(least=4, most=8), st.data())
def test_an_evaluation_is_of_finite_numbers(
    networks: list[MeasuredNetwork], data: st.DataObject
) -> None:
    train_size = data.draw(st.integers(1, max(1, len(networks) - 1)))
    try:
        result = evaluate(networks, train_size=train_size, test_size=1, splits=1)
    except (NotEnoughData, UnknownKernelKinds):
        return
    for metrics in (result.predictor, result.multiply_adds):
        assert all(math.isfinite(getattr(metrics, name)) for name in metrics.__slots__)
    assert math.isfinite(result.repeat_cv)


@settings(deadline=None)
@given(st.data(), st.integers(4, 12), st.integers(1, 3))
def test_transfer_between_any_devices_is_sane(
    data: st.DataObject, networks: int, sources: int
) -> None:
    rows = st.lists(latencies_ns, min_size=sources, max_size=sources)
    sources_ns = np.array(data.draw(st.lists(rows, min_size=networks, max_size=networks)))
    if data.draw(st.booleans()):
        sources_ns[:] = sources_ns[0]
    count = data.draw(st.integers(3, networks))
    samples = st.lists(latencies_ns, min_size=count, max_size=count)
    measured_ns = np.array(data.draw(samples))
    found = transfer(sources_ns, np.arange(count), measured_ns)
    assert np.all(found.lower_ns > 0)
    assert np.all(found.lower_ns <= found.latency_ns)
    assert np.all(found.latency_ns <= found.upper_ns)
    assert np.all(np.isfinite(found.upper_ns))
    if count > 3:
        errors = leave_one_out_errors(sources_ns[:count], measured_ns)
        assert np.all(np.isfinite(errors))


@pytest.mark.parametrize("kernel_ns", [-1.0, math.nan, math.inf])
def test_a_kernel_s_time_is_a_finite_number_of_at_least_0(kernel_ns: float) -> None:
    kernel = Kernel(k.ADD, ((1, 8),), (1, 8))
    with pytest.raises(ValueError, match="a kernel's time"):
        MeasuredNetwork((kernel,), (kernel_ns,), 5.0, 4.0, 6.0, 0)
    with pytest.raises(ValueError, match="cannot have the bounds"):
        MeasuredNetwork((kernel,), (1.0,), 5.0, 4.0, math.inf, 0)


@given(st.floats(0, exclude_min=True))
def test_whole_ns_are_at_least_one_and_fit_into_a_message(latency_ns: float) -> None:
    assert 1 <= whole_ns(latency_ns) <= MAX_LATENCY_NS
    if 1 <= latency_ns <= HOUR_NS:
        assert whole_ns(latency_ns) == round(latency_ns)
