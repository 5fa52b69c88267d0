"""Predictions for a new target from a few measurements on it and from other targets.

A network's latency is roughly a sum over its kernels. So, where networks share kernels, it is
roughly a weighted sum of the network's latencies on other targets, the sources. Bayesian linear
regression finds the weights. Its prior is that the new target differs from the sources as they
differ among themselves, which leaves few directions to learn. Its errors are relative. A few
samples do not show how much the sources leave unexplained. So several levels are tried, and
their predictions are averaged with weights by evidence.

A simpler prediction is that a network takes as long as on a usual source, at a speed that is
guessed and soon known. It stands alone before there are samples enough for weights, and is then
averaged with the regression by their precisions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import softmax

from latency_models.intervals import LEVEL
from latency_models.targets.average import Transferred, blend
from latlab.domain.errors import NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_SAMPLES = 3  # for weights of the sources

# Levels of the variance that the sources leave unexplained, relative to the variance that they
# explain: from a standard deviation of 3 % to ten times.
_NOISE = np.geomspace(1e-3, 100.0, 11)

# Standard deviation of the prior of the mean latency, in standard deviations of latency between
# networks. It is wide enough not to matter.
_MEAN_DEVIATION = 10.0

_TINY = 1e-12  # keeps the errors of a perfect fit above 0, as a share of the sum of squares
# Least deviations of the logarithms of a target's usual latency, and of a network's beside it.
_LEAST_SPEED_DEVIATION = np.log(2)
_SHAPE_SAMPLES = 3  # how many samples the sources' shapes count for
_LEAST_SHAPE_DEVIATION = 0.15  # a single source cannot show it

_FLOOR = 0.1  # least prediction as a share of the smallest sample, relative to size


@dataclass(frozen=True)
class Scale:
    """The measure of the sources' latencies.

    Attributes:
        means_ns: (sources,) the mean latency on each source.
        scales_ns: (sources,) the standard deviation there; 1 where all latencies are equal.
        mean_logs: (sources,) the mean logarithm of the latencies.
    """

    means_ns: FloatArray
    scales_ns: FloatArray
    mean_logs: FloatArray

    def inputs(self, sources_ns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the inputs of the regression and the (networks,) size of each network.

        The size is the geometric mean over sources of the network's latency relative to the usual
        latency there. A typical network has the size 1.
        """
        size = np.exp((np.log(sources_ns) - self.mean_logs).mean(axis=1))
        columns = (sources_ns - self.means_ns) / self.scales_ns / np.sqrt(sources_ns.shape[1])
        inputs = np.column_stack([columns, np.full(len(size), _MEAN_DEVIATION)]) / size[:, None]
        return inputs, size


@dataclass(frozen=True)
class Transfer:
    """A fitted transfer from sources to a new target.

    Attributes:
        scale: The measure of the sources' latencies.
        shape_deviation: The standard deviation of the logarithm of a network's latency on a source
            around its size and the source's mean.
        inputs: (samples, sources + 1) the standardized latencies of the measured networks on
            the sources and a constant, divided by the networks' sizes.
        ratios: (samples,) the measured latencies, divided by the networks' sizes.
    """

    scale: Scale
    shape_deviation: float
    inputs: FloatArray
    ratios: FloatArray

    @classmethod
    def fit(cls, sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> Transfer:
        """Fit a transfer.

        Args:
            sources_ns: (networks, sources) measured or predicted latencies. More networks show
                better how the sources differ.
            measured: (samples,) the rows of the networks that were measured on the new target. A
                network that was measured twice may occur twice.
            measured_ns: (samples,) the latencies on the new target.

        Raises:
            ValueError: A source lacks a network, a latency is not above 0, or a row does not
                exist.
        """
        _check_sources(sources_ns)
        _check_samples(len(sources_ns), measured, measured_ns)
        means_ns, scales_ns = sources_ns.mean(axis=0), sources_ns.std(axis=0)
        scales_ns = np.where(scales_ns > _TINY * means_ns, scales_ns, 1.0)
        mean_logs = np.log(sources_ns).mean(axis=0)
        logs = np.log(sources_ns) - mean_logs
        shapes = logs - logs.mean(axis=1, keepdims=True)
        deviation = max(_LEAST_SHAPE_DEVIATION, float(shapes.std()))
        scale = Scale(means_ns, scales_ns, mean_logs)
        inputs, size = scale.inputs(sources_ns[measured])
        return cls(scale, deviation, inputs, measured_ns / size)

    def predict(self, sources_ns: FloatArray) -> Transferred:
        """Predict the latencies of networks on the new target.

        Args:
            sources_ns: (networks, sources) latencies on the sources, in the order of `fit`.

        Raises:
            ValueError: A source lacks the latency of a network.
        """
        _check_sources(sources_ns)
        inputs, size = self.scale.inputs(sources_ns)
        usual = self._as_usual(size)
        if len(self.ratios) < MIN_SAMPLES:
            return usual
        mean, deviation = _regress(self.inputs, self.ratios, inputs)
        margin = stats.t.ppf((1 + LEVEL) / 2, len(self.ratios) - 1) * deviation
        floor = _FLOOR * self.ratios.min()
        mean = np.maximum(mean, floor)
        lower, upper = np.maximum(mean - margin, floor), mean + margin
        regressed = Transferred(size * mean, size * lower, size * upper)
        return blend(regressed, usual)[0]

    def left_out(self, sources_ns: FloatArray) -> Transferred:
        """Predict each sample from the others.

        Args:
            sources_ns: (samples, sources) the samples' latencies on the sources, in order of `fit`.
        """
        return Transferred.joined(
            [
                replace(
                    self,
                    inputs=np.delete(self.inputs, row, axis=0),
                    ratios=np.delete(self.ratios, row),
                ).predict(sources_ns[row : row + 1])
                for row in range(len(self.ratios))
            ]
        )

    def _as_usual(self, size: FloatArray) -> Transferred:
        """Predict latencies from the networks' sizes and a speed, which is like the sources'.

        The target's shape deviates from it as the sources' do and as the samples show.
        """
        speeds = np.log(self.ratios)
        if len(speeds) == 0:
            speed = self.scale.mean_logs.mean()
            deviation = np.hypot(
                max(_LEAST_SPEED_DEVIATION, float(self.scale.mean_logs.std())), self.shape_deviation
            )
        else:
            speed = speeds.mean()
            squares = _SHAPE_SAMPLES * self.shape_deviation**2 + np.sum((speeds - speed) ** 2)
            variance = squares / (_SHAPE_SAMPLES + len(speeds) - 1)
            deviation = np.sqrt(variance * (1 + 1 / len(speeds)))
        latency_ns = size * np.exp(speed)
        factor = np.exp(stats.norm.ppf((1 + LEVEL) / 2) * deviation)
        return Transferred(latency_ns, latency_ns / factor, latency_ns * factor)


def transfer(sources_ns: FloatArray, measured: IntArray, measured_ns: FloatArray) -> Transferred:
    """Fit a transfer to a new target and predict every network's latency there, measured or not.

    The arguments and errors are those of `Transfer.fit`.
    """
    return Transfer.fit(sources_ns, measured, measured_ns).predict(sources_ns)


def leave_one_out_errors(sources_ns: FloatArray, measured_ns: FloatArray) -> FloatArray:
    """Return the (samples,) relative errors on each sample, predicted from the others.

    Args:
        sources_ns: (samples, sources) the samples' latencies on the sources.
        measured_ns: (samples,) their latencies on the new target.

    Raises:
        NotEnoughData: There are fewer than MIN_SAMPLES + 1 samples.
        ValueError: `Transfer.fit` refuses the latencies.
    """
    if len(measured_ns) <= MIN_SAMPLES:
        raise NotEnoughData(
            f"{MIN_SAMPLES + 1} networks measured on the new target are needed, "
            f"there are {len(measured_ns)}"
        )
    fitted = Transfer.fit(sources_ns, np.arange(len(measured_ns)), measured_ns)
    errors: FloatArray = np.abs(fitted.left_out(sources_ns).latency_ns / measured_ns - 1)
    return errors


def _regress(
    inputs: FloatArray, outputs: FloatArray, new_inputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the scale of Student's t for the noisy output at each new input.

    It has one degree of freedom less than there are samples. The weights have the prior
    N(0, scale²), the outputs the noise N(0, scale² × level), and p(scale²) ∝ 1 / scale². For the
    posterior at one level see Bishop, "Pattern Recognition and Machine Learning", section 3.3
    and exercises 3.12 and 3.13. The mean latency, whose prior is nearly flat, takes a degree of
    freedom. The result has the first two moments of the mixture over the levels.

    Args:
        inputs: (samples, features).
        outputs: (samples,).
        new_inputs: (new inputs, features).
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
    # It falls below 0 only by rounding, if one network is a million times the size of another.
    unknown = np.maximum((new_inputs**2).sum(axis=1, keepdims=True) - learned, 0.0)
    variances = unknown + _NOISE
    variances *= squares / freedom
    mean: FloatArray = means @ evidence
    deviation: FloatArray = np.sqrt((variances + (means - mean[:, None]) ** 2) @ evidence)
    return mean, deviation


def _check_sources(sources_ns: FloatArray) -> None:
    if sources_ns.ndim != 2 or sources_ns.shape[1] == 0:
        raise ValueError(f"sources_ns must be an array (networks, sources), not {sources_ns.shape}")
    usable = np.isfinite(sources_ns) & (sources_ns > 0)
    if not usable.all():
        columns = np.flatnonzero(~usable.all(axis=0)).tolist()
        raise ValueError(f"sources {columns} lack the latency of some networks")


def _check_samples(networks: int, measured: IntArray, measured_ns: FloatArray) -> None:
    if measured.ndim != 1 or measured.shape != measured_ns.shape:
        raise ValueError(f"there are {measured.shape} networks, but {measured_ns.shape} latencies")
    if len(measured) and not 0 <= measured.min() <= measured.max() < networks:
        raise ValueError(f"the row of a measured network is outside the {networks} networks")
    if not np.all(np.isfinite(measured_ns) & (measured_ns > 0)):
        raise ValueError("every measured latency must be above 0")
