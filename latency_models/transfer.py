"""A new target, from a few measurements on it and what is known of other targets.

A network's latency is about a sum over its kernels, and so, where networks share kernels,
about a weighted sum of its latencies elsewhere. Bayesian linear regression finds the
weights. Its prior is that the new target differs from the sources as they differ among
themselves, which leaves few directions to learn, and its errors are relative. How much the
sources leave unexplained, few samples cannot tell: several levels are tried, and their
answers averaged, weighed by evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from latency_models.intervals import LEVEL
from latlab.domain.errors import NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_SAMPLES = 3

# Variance of what the sources leave unexplained, where that of what they explain is 1:
# from a standard deviation of 3 % to as much again.
_NOISE = np.geomspace(1e-3, 1.0, 7)

# Prior of the mean latency, in standard deviations of latency between networks: wide
# enough not to matter.
_MEAN_DEVIATION = 10.0

_TINY = 1e-12  # keeps a perfect fit's errors above 0; a share of the sum of squares
_FLOOR = 0.1  # of the smallest sample, size for size: a linear model may fall below 0


@dataclass(frozen=True)
class Transferred:
    """Parallel arrays (networks,) in ns, all above 0: latencies and their 90 % intervals."""

    latency_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray


@dataclass(frozen=True)
class Transfer:
    """inputs: (samples, sources + 1) the sources' standardized latencies of the measured
    networks, and a constant; ratios: (samples,) measured latencies. Both are divided by the
    networks' sizes.
    """

    scaler: StandardScaler
    mean_logs: FloatArray
    inputs: FloatArray
    ratios: FloatArray

    @classmethod
    def fit(cls, sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> Transfer:
        """sources_ns: (networks, sources), measured or predicted; the more networks, the
        better it is known how sources differ. measured: (samples,) rows of it, at least
        MIN_SAMPLES; a network measured twice may be in it twice. measured_ns: (samples,)
        their latencies on the new target.

        Raises NotEnoughData for fewer samples, and ValueError where a source lacks a network,
        a latency is not above 0, or a row does not exist.
        """
        _check_sources(sources_ns)
        _check_samples(len(sources_ns), measured, measured_ns)
        scaler, mean_logs = StandardScaler().fit(sources_ns), np.log(sources_ns).mean(axis=0)
        inputs, size = _inputs(sources_ns[measured], scaler, mean_logs)
        return cls(scaler, mean_logs, inputs, measured_ns / size)

    def predict(self, sources_ns: FloatArray) -> Transferred:
        """sources_ns: (networks, sources), the sources as in `fit`. Raises ValueError where
        one lacks a network."""
        _check_sources(sources_ns)
        new_inputs, size = _inputs(sources_ns, self.scaler, self.mean_logs)
        mean, deviation = _regress(self.inputs, self.ratios, new_inputs)
        margin = stats.t.ppf((1 + LEVEL) / 2, len(self.ratios) - 1) * deviation
        floor = _FLOOR * self.ratios.min()
        mean = np.maximum(mean, floor)
        lower, upper = np.maximum(mean - margin, floor), mean + margin
        return Transferred(size * mean, size * lower, size * upper)


def transfer(sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> Transferred:
    """Predicts every network's latency on the new target, of the measured ones too.

    Arguments and errors are those of `Transfer.fit`.
    """
    return Transfer.fit(sources_ns, measured, measured_ns).predict(sources_ns)


def leave_one_out_errors(sources_ns: FloatArray, measured_ns: FloatArray) -> FloatArray:
    """(samples,) relative errors on each measured network, predicted from the others.

    sources_ns: (samples, sources). Raises NotEnoughData for fewer than MIN_SAMPLES + 1, and
    ValueError as `Transfer.fit`.
    """
    _check_samples(len(sources_ns), np.arange(len(measured_ns)), measured_ns, MIN_SAMPLES + 1)
    rows = np.arange(len(measured_ns))
    left_out_ns = []
    for row in rows:
        others = np.delete(rows, row)
        left_out_ns.append(transfer(sources_ns, others, measured_ns[others]).latency_ns[row])
    errors: FloatArray = np.abs(np.array(left_out_ns) / measured_ns - 1)
    return errors


def _inputs(
    sources_ns: FloatArray, scaler: StandardScaler, mean_logs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What the regression learns from, and each network's size: how slow it is on the
    sources, fast and slow ones alike; 1 is typical."""
    size = np.exp((np.log(sources_ns) - mean_logs).mean(axis=1))
    columns = (sources_ns - scaler.mean_) / scaler.scale_ / np.sqrt(sources_ns.shape[1])
    inputs = np.column_stack([columns, np.full(len(size), _MEAN_DEVIATION)]) / size[:, None]
    return inputs, size


def _regress(
    inputs: FloatArray, outputs: FloatArray, new_inputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and scale of Student's t, with a degree of freedom less than samples, for the
    noisy output at each new input.

    inputs: (samples, features). Weights have the prior N(0, scale²), outputs the noise
    N(0, scale² × level), and p(scale²) ∝ 1 / scale². One level's posterior: Bishop, "Pattern
    Recognition and Machine Learning", section 3.3 and exercises 3.12 and 3.13, where the
    mean latency, whose prior is as good as flat, takes a degree of freedom; over the levels,
    the first two moments of the mixture.
    """
    freedom = len(outputs) - 1
    u, singular, directions = np.linalg.svd(inputs, full_matrices=False)
    signal, noise = singular**2, _NOISE[:, None]  # (directions,), (levels, 1)
    found = u.T @ outputs
    total = outputs @ outputs
    squares = (found**2 / (signal + noise)).sum(axis=1) + _TINY * total
    squares += np.maximum(total - found @ found, 0.0) / _NOISE
    log_determinants = np.log(signal + noise).sum(axis=1)
    log_determinants += (len(outputs) - len(signal)) * np.log(_NOISE)
    evidence = softmax(-0.5 * (log_determinants + freedom * np.log(squares)))

    along = new_inputs @ directions.T  # (new inputs, directions)
    means = along @ (singular * found / (signal + noise)).T  # (new inputs, levels)
    learned = along**2 @ (signal / (signal + noise)).T
    # Never below 0 but by rounding, where one network is a million times another's size.
    unknown = np.maximum((new_inputs**2).sum(axis=1, keepdims=True) - learned, 0.0)
    variances = unknown + _NOISE
    variances *= squares / freedom
    mean: FloatArray = means @ evidence
    deviation: FloatArray = np.sqrt((variances + (means - mean[:, None]) ** 2) @ evidence)
    return mean, deviation


def _check_sources(sources_ns: FloatArray) -> None:
    if sources_ns.ndim != 2 or sources_ns.shape[1] == 0:
        raise ValueError(f"(networks, sources) are needed, not {sources_ns.shape}")
    usable = np.isfinite(sources_ns) & (sources_ns > 0)
    if not usable.all():
        columns = np.flatnonzero(~usable.all(axis=0)).tolist()
        raise ValueError(f"sources {columns} lack the latency of some networks")


def _check_samples(
    networks: int, measured: IntArray, measured_ns: FloatArray, at_least: int = MIN_SAMPLES
) -> None:
    if measured.ndim != 1 or measured.shape != measured_ns.shape:
        raise ValueError(f"{measured.shape} networks, but {measured_ns.shape} latencies")
    if len(measured) < at_least:
        raise NotEnoughData(
            f"{at_least} networks measured on the new target are needed, there are {len(measured)}"
        )
    if not 0 <= measured.min() <= measured.max() < networks:
        raise ValueError(f"a measured row lies outside the {networks} networks")
    if not np.all(np.isfinite(measured_ns) & (measured_ns > 0)):
        raise ValueError("a measured latency is not above 0")
