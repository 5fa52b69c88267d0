from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latency_models.evaluate import evaluate, metrics, score
from latency_models.fitting import fit_predictor
from latlab.domain.errors import NotEnoughData
from latlab.domain.measured_network import MeasuredNetwork


def test_metrics_by_hand() -> None:
    measured_ns = np.array([100.0, 200.0, 300.0, 400.0])
    result = metrics(measured_ns, measured_ns * [1.04, 0.93, 1.2, 1.0])
    assert result.mean_error == pytest.approx(0.31 / 4)
    assert result.median_error == pytest.approx(0.055)
    assert (result.within_5pct, result.within_10pct) == (0.5, 0.75)
    assert (result.kendall, result.spearman) == (1.0, 1.0)
    assert metrics(measured_ns, measured_ns[::-1]).kendall == -1.0


def test_a_predictor_beats_multiply_adds_on_networks_held_out(
    measured: list[MeasuredNetwork],
) -> None:
    result = evaluate(measured, train_size=40, test_size=20, splits=2)
    assert result.predictor.within_10pct >= 0.95
    assert result.predictor.kendall >= 0.92
    assert result.predictor.mean_error < 0.5 * result.multiply_adds.mean_error
    assert result.predictor.kendall > result.multiply_adds.kendall
    assert 0.75 <= result.interval_coverage <= 1.0
    assert len(result.coverage_by_third) == 3
    assert np.mean(result.coverage_by_third) == pytest.approx(result.interval_coverage, abs=0.05)
    assert 0 < result.interval_width < 0.2
    assert 0.01 < result.repeat_cv < 0.03  # visits vary by 3 %; the median of five by less
    assert result.parity.measured_ns.shape == result.parity.upper_ns.shape == (40,)


def test_splits_repeat_with_their_seed(measured: list[MeasuredNetwork]) -> None:
    first, again, other = (
        evaluate(measured[:20], train_size=8, test_size=6, splits=1, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first.predictor == again.predictor != other.predictor


def test_too_few_networks_for_the_split(measured: list[MeasuredNetwork]) -> None:
    with pytest.raises(NotEnoughData, match="12 measured networks are needed, there are 10"):
        evaluate(measured[:10], train_size=8, test_size=4)


def test_a_target_without_kernel_times_is_evaluated_on_whole_networks(
    measured: list[MeasuredNetwork],
) -> None:
    untraced = [replace(network, kernel_ns=None) for network in measured]
    result = evaluate(untraced, train_size=40, test_size=20, splits=1)
    assert result.predictor.mean_error < result.multiply_adds.mean_error
    assert result.parity.measured_ns.shape == (20,)


def test_networks_without_kernel_times_are_left_out_where_others_have_them(
    measured: list[MeasuredNetwork],
) -> None:
    untraced = [replace(network, kernel_ns=None) for network in measured[30:]]
    with pytest.raises(NotEnoughData, match="40 measured networks are needed, there are 30"):
        evaluate([*measured[:30], *untraced], train_size=30, test_size=10)


def test_a_score_counts_each_network_once(measured: list[MeasuredNetwork]) -> None:
    predictor = fit_predictor(measured[:20])
    new = measured[20:30]
    again = replace(new[0], unix_ns=new[0].unix_ns + 1)
    found = score(predictor, [*new, again])
    assert (found.networks, found.guessed) == (10, 0)
    assert found.mean_error == pytest.approx(score(predictor, new).mean_error)
    assert 0 < found.mean_error < 0.2
    assert 0 <= found.within_5pct <= 1
    assert 0 <= found.inside_interval <= 1


def test_a_score_says_how_many_networks_were_guessed(measured: list[MeasuredNetwork]) -> None:
    predictor = fit_predictor(measured[:20])
    new = measured[20:30]
    unknown = tuple(replace(kernel, dtype="float16") for kernel in new[0].kernels)
    found = score(predictor, [replace(new[0], kernels=unknown), *new[1:]])
    assert (found.networks, found.guessed) == (10, 1)
