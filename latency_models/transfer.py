"""A new target from a few measurements on it and what is known of other targets.

A network's latency is near to a sum over its kernels, and so, with the same kernels in all
networks, near to a weighted sum of its latencies elsewhere. The weights are found by
Bayesian linear regression: its prior says that devices differ as the sources do among
themselves, which leaves few directions to learn, and its errors are relative. How much of
the new target the sources cannot explain is not known from few samples: each level in
question is tried, and the answers are averaged, weighed by their evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from latency_models.intervals import LEVEL
from latency_models.predictor import NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_SAMPLES = 3

# Variance of what the sources cannot explain, in units of what they can: a standard
# deviation of 3 % to 55 % of the spread of latencies.
_NOISE = np.geomspace(1e-3, 0.3, 6)

# Of the mean latency's prior, in units of the spread of latencies: wide enough for any.
_MEAN_DEVIATION = 10.0

_TINY = 1e-12  # share of the samples' sum of squares that no fit is trusted to explain
_FLOOR = 0.1  # of the smallest sample, for its size: no linear model knows that time is positive


@dataclass(frozen=True)
class Transferred:
    """Parallel arrays (networks,) in ns, all above 0: latencies with 90 % intervals."""

    latency_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray


def transfer(sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> Transferred:
    """The latency of every network on a new target.

    sources_ns: (networks, sources), measured or predicted on other targets. measured:
    (samples,) rows of it that were measured on the new one, at least MIN_SAMPLES; a row may
    come again. measured_ns: parallel to it. 5 samples give an order of networks, 20 good
    intervals; each source may be in a unit of its own.

    Raises NotEnoughData for fewer samples, and ValueError for a source that lacks a network,
    for latencies that are not above 0, and for rows that are not there.

    The posterior of Bayesian linear regression with a known ratio of noise to signal and an
    unknown scale is Student's t: Bishop, "Pattern Recognition and Machine Learning", 3.3
    and exercise 3.12, here with p(scale²) ∝ 1 / scale².
    """
    _check(sources_ns, measured, measured_ns)
    size = _size(sources_ns)
    columns = StandardScaler().fit_transform(sources_ns) / np.sqrt(sources_ns.shape[1])
    inputs = np.column_stack([columns, np.full(len(size), _MEAN_DEVIATION)]) / size[:, None]
    ratios = measured_ns / size[measured]

    # One row for each level of noise; `left` is sums of squares over the samples.
    u, singular, directions = np.linalg.svd(inputs[measured], full_matrices=False)
    noise, signal = _NOISE[:, None], singular**2
    found = u.T @ ratios
    outside = np.maximum(ratios @ ratios - found @ found, 0.0)
    left = (found**2 / (signal + noise)).sum(axis=1) + outside / _NOISE
    left += _TINY * ratios @ ratios
    determinants = np.log(signal + noise).sum(axis=1) + (len(ratios) - len(signal)) * np.log(_NOISE)
    evidence = softmax(-0.5 * (determinants + len(ratios) * np.log(left)))

    # One column for each level of noise; means and variances of the ratio to a network's size.
    means = inputs @ (singular * found / (signal + noise) @ directions).T
    known = (inputs @ directions.T) ** 2 @ (signal / (signal + noise)).T
    unknown = (inputs**2).sum(axis=1, keepdims=True) - known
    variances = (unknown + _NOISE) * left / len(ratios)
    mean = means @ evidence
    deviation = np.sqrt((variances + (means - mean[:, None]) ** 2) @ evidence)

    margin = stats.t.ppf((1 + LEVEL) / 2, len(ratios)) * deviation
    floor = _FLOOR * ratios.min()
    mean = np.maximum(mean, floor)
    return Transferred(size * mean, size * np.maximum(mean - margin, floor), size * (mean + margin))


def _size(sources_ns: FloatArray) -> FloatArray:
    """How slow a network is on the sources: 1 for a typical one, whatever their speeds."""
    logs = np.log(sources_ns)
    size: FloatArray = np.exp((logs - logs.mean(axis=0)).mean(axis=1))
    return size


def _check(sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> None:
    if sources_ns.ndim != 2 or sources_ns.shape[1] == 0:
        raise ValueError(f"latencies of networks by sources are needed, not {sources_ns.shape}")
    usable = np.isfinite(sources_ns) & (sources_ns > 0)
    if not usable.all():
        lacking = ", ".join(map(str, np.flatnonzero(~usable.all(axis=0)).tolist()))
        raise ValueError(f"a latency above 0 is needed of every network on sources {lacking}")
    if measured.shape != measured_ns.shape or measured.ndim != 1:
        raise ValueError(f"{measured.shape} networks, but {measured_ns.shape} latencies")
    if len(measured) < MIN_SAMPLES:
        raise NotEnoughData(
            f"{MIN_SAMPLES} networks measured on the new target are needed, "
            f"there are {len(measured)}"
        )
    if not 0 <= measured.min() <= measured.max() < len(sources_ns):
        raise ValueError(f"a measured row lies outside the {len(sources_ns)} networks")
    if not np.all(np.isfinite(measured_ns) & (measured_ns > 0)):
        raise ValueError("measured latencies must be above 0")
