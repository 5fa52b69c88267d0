"""The accuracy of a predictor on networks that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from latency_models.fitting import choose_predictor
from latency_models.measured_networks import each_once
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latlab.domain.errors import NotEnoughData
from latlab.domain.estimate import LatencyEstimate, PredictionScore
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Errors and rank correlations of predicted latencies.

    Attributes:
        mean_error: Mean of the errors relative to the measured latency.
        median_error: Median of these errors.
        within_5pct: Share of the networks whose error is at most 5 %.
        within_10pct: Share of the networks whose error is at most 10 %.
        kendall: Kendall's tau between predicted and measured latency; 0 if all predicted or
            all measured latencies are equal, for then there is no order.
        spearman: Spearman's rho, likewise.
    """

    mean_error: float
    median_error: float
    within_5pct: float
    within_10pct: float
    kendall: float
    spearman: float


@dataclass(frozen=True)
class Parity:
    """Measured and predicted latencies of held-out networks, as parallel arrays in ns."""

    measured_ns: FloatArray
    predicted_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray

    @property
    def inside(self) -> BoolArray:
        """Return (networks,): whether each measured latency is inside its interval."""
        inside: BoolArray = (self.lower_ns <= self.measured_ns) & (
            self.measured_ns <= self.upper_ns
        )
        return inside

    @property
    def widths(self) -> FloatArray:
        """Return the (networks,) widths of the intervals, as shares of the predictions."""
        widths: FloatArray = (self.upper_ns - self.lower_ns) / self.predicted_ns
        return widths

    def coverage_by_third(self) -> tuple[float, ...]:
        """Return the share of latencies inside their intervals, by thirds of the widths.

        The networks with the narrowest intervals come first. There are fewer parts if there are
        fewer than three networks.
        """
        order = np.argsort(self.widths, kind="stable")
        thirds = np.array_split(self.inside[order], min(3, len(order)))
        return tuple(float(third.mean()) for third in thirds)


@dataclass(frozen=True)
class Evaluation:
    """The result of evaluating a predictor on held-out networks.

    Attributes:
        predictor: Metrics of the predictor, as means over the splits.
        multiply_adds: Metrics of a line fitted to multiply-adds, as means over the splits.
        interval_coverage: Share of the measured latencies inside their predicted intervals.
        coverage_by_third: The same for each third of the networks, from the narrowest intervals
            to the widest.
        interval_width: Median of (upper - lower) / predicted.
        repeat_cv: Median over networks of the relative standard error of their measurement.
        parity: The held-out networks of all splits.
    """

    predictor: Metrics
    multiply_adds: Metrics
    interval_coverage: float
    coverage_by_third: tuple[float, ...]
    interval_width: float
    repeat_cv: float
    parity: Parity


def evaluate(
    networks: Sequence[MeasuredNetwork],
    *,
    train_size: int,
    test_size: int,
    splits: int = 5,
    seed: int = 0,
) -> Evaluation:
    """Fit predictors on some measured networks and compare their predictions with others.

    Each split draws its networks anew. The predictor is the one that `choose_predictor` gives
    for all networks, and only networks that it learns from take part. A network that was
    measured several times takes part once, with its measurements combined, so that no network is
    both learned and held out. The measured latencies are steadied like the predictor's own.

    Args:
        networks: Measured networks of one target.
        train_size: Number of networks to fit on.
        test_size: Number of other networks to predict.
        splits: Number of random splits.
        seed: Seed of the splits.

    Raises:
        NotEnoughData: There are fewer than `train_size + test_size` networks, or the predictor
            needs more.
        UnknownKernelKinds: A held-out network has a kind of kernel that the others lack.
    """
    once = each_once(networks)
    predictor_class = choose_predictor(once)
    networks = list(filter(predictor_class.learns_from, once))
    if len(networks) < train_size + test_size:
        raise NotEnoughData(
            f"{train_size + test_size} measured networks are needed, there are {len(networks)}"
        )
    rng = np.random.default_rng(seed)
    predictor_metrics, baseline_metrics, parities = [], [], []
    for _ in range(splits):
        order = rng.permutation(len(networks)).tolist()
        train = [networks[i] for i in order[:train_size]]
        test = [networks[i] for i in order[train_size : train_size + test_size]]
        parity = _predict(predictor_class.fit(train), test)
        parities.append(parity)
        predictor_metrics.append(metrics(parity.measured_ns, parity.predicted_ns))
        baseline_metrics.append(metrics(parity.measured_ns, _predict_from_work(train, test)))
    pooled = Parity(
        *(
            np.concatenate([getattr(parity, field.name) for parity in parities])
            for field in fields(Parity)
        )
    )
    return Evaluation(
        _mean(predictor_metrics),
        _mean(baseline_metrics),
        float(pooled.inside.mean()),
        pooled.coverage_by_third(),
        float(np.median(pooled.widths)),
        repeat_cv(networks),
        pooled,
    )


def score(predictor: Predictor, networks: Sequence[MeasuredNetwork]) -> PredictionScore:
    """Score a fitted predictor on networks that it has not learned from.

    A network that was measured several times counts once. The measured latencies are steadied by
    the predictor's own correction. Times of kernels of kinds that it does not know are guessed.

    Args:
        predictor: The predictor.
        networks: At least one measured network of the predictor's target. Each has kernels.
    """
    steadied = list(map(predictor.steadying, each_once(networks)))
    estimates = _estimates(predictor, steadied, guess=True)
    parity = _parity(steadied, estimates)
    found = metrics(parity.measured_ns, parity.predicted_ns)
    return PredictionScore(
        networks=len(steadied),
        guessed=sum(bool(estimate.unknown_kinds) for estimate in estimates),
        mean_error=found.mean_error,
        within_5pct=found.within_5pct,
        inside_interval=float(parity.inside.mean()),
    )


def metrics(measured_ns: FloatArray, predicted_ns: FloatArray) -> Metrics:
    """Return the errors and rank correlations of predicted latencies.

    Both arrays are (networks,), with latencies above 0.
    """
    errors = np.abs(predicted_ns / measured_ns - 1)
    has_order = bool(np.ptp(predicted_ns) > 0 and np.ptp(measured_ns) > 0)
    return Metrics(
        float(errors.mean()),
        float(np.median(errors)),
        float((errors <= 0.05).mean()),
        float((errors <= 0.10).mean()),
        float(stats.kendalltau(predicted_ns, measured_ns).statistic) if has_order else 0.0,
        float(stats.spearmanr(predicted_ns, measured_ns).statistic) if has_order else 0.0,
    )


def repeat_cv(networks: Sequence[MeasuredNetwork]) -> float:
    """Return the median relative standard error of the measurements, from their intervals.

    No predictor can have a smaller error.
    """
    half_widths = [(n.upper_ns - n.lower_ns) / (2 * n.latency_ns) for n in networks]
    return float(np.median(half_widths) / stats.norm.ppf(0.95))


def _predict(predictor: Predictor, networks: Sequence[MeasuredNetwork]) -> Parity:
    steadied = list(map(predictor.steadying, networks))
    return _parity(steadied, _estimates(predictor, steadied))


def _estimates(
    predictor: Predictor, networks: Sequence[MeasuredNetwork], *, guess: bool = False
) -> list[LatencyEstimate]:
    now_unix_ns = max(network.unix_ns for network in networks)
    return predictor.predict(*pack(n.kernels for n in networks), now_unix_ns, guess=guess)


def _parity(networks: Sequence[MeasuredNetwork], estimates: Sequence[LatencyEstimate]) -> Parity:
    return Parity(
        np.array([network.latency_ns for network in networks]),
        np.array([float(estimate.latency_ns) for estimate in estimates]),
        np.array([float(estimate.lower_ns) for estimate in estimates]),
        np.array([float(estimate.upper_ns) for estimate in estimates]),
    )


def _predict_from_work(
    train: Sequence[MeasuredNetwork], test: Sequence[MeasuredNetwork]
) -> FloatArray:
    """Return the (test,) latencies that a line through multiply-adds predicts, the baseline.

    They are at least the shortest latency of `train`. If all networks of `train` do the same
    work, there is no line, and the prediction is their mean latency.
    """
    work, latencies_ns = _work(train), np.array([network.latency_ns for network in train])
    if np.ptp(work) == 0:
        return np.full(len(test), latencies_ns.mean())
    slope, intercept = np.polyfit(work, latencies_ns, 1)
    predicted: FloatArray = np.maximum(intercept + slope * _work(test), latencies_ns.min())
    return predicted


def _work(networks: Sequence[MeasuredNetwork]) -> FloatArray:
    return np.array([float(sum(kernel.multiply_adds for kernel in n.kernels)) for n in networks])


def _mean(metrics_of_splits: Sequence[Metrics]) -> Metrics:
    return Metrics(*np.mean([astuple(split) for split in metrics_of_splits], axis=0).tolist())
