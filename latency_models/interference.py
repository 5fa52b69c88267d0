"""Remove from latencies the delay by neighbours that keep the machine's memory busy.

Behind a hypervisor, other guests share the caches and the memory for minutes. Neither clocks
nor tests for clean samples detect this, but a sweep over memory beside each visit takes
longer. The delay of a network is proportional to the bytes that its kernels move, with one
coefficient for each target. On 20 measurements of each of five networks the correction reduced
the variation from 3.0 % to 1.6 %. The arithmetic probe added nothing.

Latencies are corrected to the quiet state, as the quiet latency is defined: to a low quantile of
the probes. An interval is widened by the uncertainty of the coefficient, which matters the more,
the further the probe is from the quiet state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, log

import numpy as np
from numpy.typing import NDArray

from latency_models.features import moved_bytes
from latency_models.measured_networks import HALF_WIDTHS, rows_of_each
from latlab.domain.estimate import Correction, whole_ns
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]

# Rough relative errors of a measurement and of a prediction from other networks. The
# difference between two measurements of one network is better evidence than a prediction.
_MEASUREMENT_ERROR = 0.015
_PREDICTION_ERROR = 0.04
# Standard deviation of the prior of the coefficient, whose mean is 0: the share of the latency
# that follows the probe, for a network that moves as many bytes as most.
_SHARE = 0.3
# A latency that is so many times shorter than predicted is not explained by neighbours. It is
# left out, because its error and its bytes per ns would outweigh all others.
_MAX_RATIO = 10.0
# The largest correction, as a share of the latency.
_MAX_EXCESS = 0.5
# The largest margin that the uncertainty of the correction adds, as a logarithm.
_MAX_MARGIN = 1.0
_REVISION_DIGITS = 12
# The quiet state is that of this quantile of the probes.
_QUIET_QUANTILE = 0.1


@dataclass(frozen=True, slots=True)
class Steadying:
    """The correction of one target's latencies for interference.

    steadied = measured - delay_ns_per_byte × moved bytes × (probe / quiet probe - 1). The probe
    is clipped to the range of the fit, and the correction to half of the latency.

    Attributes:
        delay_ns_per_byte: The delay for each moved byte if the probe takes twice as long.
        quiet_probe_ns: The probe in the quiet state, to which latencies are corrected.
        lowest_probe_ns: The fastest probe of the fit.
        highest_probe_ns: The slowest probe of the fit.
        delay_error_ns_per_byte: The standard error of `delay_ns_per_byte`.
    """

    delay_ns_per_byte: float
    quiet_probe_ns: float
    lowest_probe_ns: float
    highest_probe_ns: float
    delay_error_ns_per_byte: float

    @classmethod
    def none(cls) -> Steadying:
        """Return a correction that changes no latency."""
        return cls(0.0, 1.0, 1.0, 1.0, 0.0)

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork], predicted_ns: FloatArray) -> Steadying:
        """Fit the correction for interference on measured networks.

        It is robust least squares with a random effect for each network (quasi-demeaned data,
        Wooldridge, Econometric Analysis of Cross Section and Panel Data, section 10.4): errors
        of predictions that measurements of one network share count less.

        Args:
            networks: Measured networks of one target.
            predicted_ns: (networks,) the latency of each, predicted from other networks.
        """
        probes_ns = np.array([_usable(network.memory_probe_ns) or np.nan for network in networks])
        latencies_ns = np.array([network.latency_ns for network in networks])
        # A network without kernels moves nothing.
        has_kernels = np.array([bool(network.kernels) for network in networks], dtype=np.bool_)
        plausible = predicted_ns <= _MAX_RATIO * latencies_ns
        probed = np.flatnonzero(np.isfinite(probes_ns) & has_kernels & plausible).tolist()
        if not probed:
            return cls.none()
        networks, probes_ns = [networks[row] for row in probed], probes_ns[probed]
        quiet_ns = float(np.quantile(probes_ns, _QUIET_QUANTILE))
        latencies_ns = latencies_ns[probed]
        bytes_per_ns = np.array([moved_bytes(n.kernels) for n in networks]) / latencies_ns
        usual_bytes_per_ns = float(np.median(bytes_per_ns))
        effects = bytes_per_ns / usual_bytes_per_ns * (probes_ns / quiet_ns - 1)
        columns = np.stack(
            [1 - predicted_ns[probed] / latencies_ns, effects, np.ones(len(networks))]
        )
        errors, effects, ones = np.hstack(
            [_demeaned(columns[:, rows]) for rows in rows_of_each(networks)]
        )

        def residuals(parameters: FloatArray) -> FloatArray:
            share, bias = parameters
            misfits = (errors - share * effects - bias * ones) / _MEASUREMENT_ERROR
            return np.append(misfits, share / _SHARE)

        from scipy.optimize import least_squares  # a daemon that fits nothing need not load it

        with np.errstate(over="ignore"):  # an infinite derivative only shortens a step
            found = least_squares(residuals, (0.0, 0.0), loss="soft_l1")
        return cls(
            max(0.0, float(found.x[0])) / usual_bytes_per_ns,
            quiet_ns,
            float(np.min(probes_ns)),
            float(np.max(probes_ns)),
            _standard_error(found.jac, found.cost) / usual_bytes_per_ns,
        )

    @property
    def is_learned(self) -> bool:
        """True if the correction changes any latency."""
        return self != Steadying.none()

    @property
    def correction(self) -> Correction | None:
        """The correction as estimates name it; None if it changes no latency."""
        if not self.is_learned:
            return None
        digest = hashlib.sha256(repr(self).encode()).hexdigest()
        return Correction(digest[:_REVISION_DIGITS], whole_ns(self.quiet_probe_ns))

    def excess_ns(self, moved: float, probe_ns: float | None) -> float:
        """Return how long neighbours delayed a run, in ns; below 0 if the probe was still faster.

        Args:
            moved: The bytes that the network moves.
            probe_ns: The memory probe beside its measurement, if there was one.
        """
        return self.delay_ns_per_byte * moved * self._slowdown(probe_ns)

    def _slowdown(self, probe_ns: float | None) -> float:
        """Return by which share a probe takes longer than in the quiet state; 0 without one."""
        if (usable_ns := _usable(probe_ns)) is None:
            return 0.0
        within_ns = min(max(usable_ns, self.lowest_probe_ns), self.highest_probe_ns)
        return within_ns / self.quiet_probe_ns - 1

    def __call__(self, network: MeasuredNetwork) -> MeasuredNetwork:
        """Return the network as it would have been measured in the quiet state.

        The kernels' times keep their proportions, and stay if all of them are 0 ns. The errors of
        the measurement and of the correction are independent, so the interval's margins are
        combined as roots of squares.
        """
        if not self.is_learned:
            return network
        moved = moved_bytes(network.kernels)
        excess_ns = self.excess_ns(moved, network.memory_probe_ns)
        kernel_ns = network.kernel_ns
        if kernel_ns is not None and (total_ns := sum(kernel_ns)) > 0:
            traced_excess_ns = self.excess_ns(moved, network.traced_memory_probe_ns)
            scale = _without(traced_excess_ns, total_ns) / total_ns
            kernel_ns = tuple(ns * scale for ns in kernel_ns)
        latency_ns, lower_ns, upper_ns = (
            _without(excess_ns, ns)
            for ns in (network.latency_ns, network.lower_ns, network.upper_ns)
        )
        error_ns = self.delay_error_ns_per_byte * moved * self._slowdown(network.memory_probe_ns)
        margin = min(HALF_WIDTHS * abs(error_ns) / latency_ns, _MAX_MARGIN)
        if margin > 0:
            lower_ns = latency_ns * exp(-hypot(log(latency_ns / lower_ns), margin))
            upper_ns = latency_ns * exp(hypot(log(upper_ns / latency_ns), margin))
        return replace(
            network,
            kernel_ns=kernel_ns,
            latency_ns=latency_ns,
            lower_ns=lower_ns,
            upper_ns=upper_ns,
        )


def _standard_error(jacobian: FloatArray, cost: float) -> float:
    """Return the standard error of the share, the first of the fitted parameters.

    Where residuals are larger than assumed, so are the errors.

    Args:
        jacobian: (residuals, 2) derivatives of the residuals, weighted by the loss.
        cost: Half of the robust sum of squares.
    """
    freedom = max(1, len(jacobian) - jacobian.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        information = jacobian.T @ jacobian
    if not np.all(np.isfinite(information)):
        return _SHARE  # as uncertain as without data
    variance = float(np.linalg.pinv(information)[0, 0]) * max(1.0, 2 * cost / freedom)
    return min(float(np.sqrt(variance)), _SHARE)


def _without(excess_ns: float, measured_ns: float) -> float:
    """Subtract the delay, or as much of it as the largest correction allows."""
    most_ns = _MAX_EXCESS * measured_ns
    return measured_ns - min(max(excess_ns, -most_ns), most_ns)


def _usable(probe_ns: float | None) -> float | None:
    """Return the probe; None if no sweep over memory can have taken so long."""
    return probe_ns if probe_ns is not None and 1.0 <= probe_ns < np.inf else None


def _demeaned(columns: FloatArray) -> FloatArray:
    """Subtract the part of the mean that is due to the network's random effect.

    Args:
        columns: (columns, measurements) of one network.
    """
    measurements = columns.shape[1]
    between = np.hypot(_MEASUREMENT_ERROR, np.sqrt(measurements) * _PREDICTION_ERROR)
    demeaned: FloatArray = columns - (1 - _MEASUREMENT_ERROR / between) * columns.mean(
        axis=1, keepdims=True
    )
    return demeaned
