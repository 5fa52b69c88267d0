"""Remove from latencies the delay by neighbours that keep the machine's memory busy.

Behind a hypervisor, other guests share the caches and the memory for minutes. Neither clocks
nor tests for clean samples detect this, but a sweep over memory beside each visit takes
longer. The delay of a network is proportional to the bytes that its kernels move, with one
coefficient for each target. On 20 measurements of each of five networks the correction reduced
the variation from 3.0 % to 1.6 %. The arithmetic probe added nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latency_models.features import moved_bytes
from latency_models.measured_networks import rows_of_each
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


@dataclass(frozen=True, slots=True)
class Steadying:
    """The correction of one target's latencies for interference.

    steadied = measured - delay_ns_per_byte × moved bytes × (probe / usual probe - 1). The probe
    is clipped to the range of the fit, and the correction to half of the latency.

    Attributes:
        delay_ns_per_byte: The delay for each moved byte if the probe takes twice as long.
        usual_probe_ns: The median probe.
        lowest_probe_ns: The fastest probe of the fit.
        highest_probe_ns: The slowest probe of the fit.
    """

    delay_ns_per_byte: float
    usual_probe_ns: float
    lowest_probe_ns: float
    highest_probe_ns: float

    @classmethod
    def none(cls) -> Steadying:
        """Return a correction that changes no latency."""
        return cls(0.0, 1.0, 1.0, 1.0)

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
        usual_ns, latencies_ns = float(np.median(probes_ns)), latencies_ns[probed]
        bytes_per_ns = np.array([moved_bytes(n.kernels) for n in networks]) / latencies_ns
        usual_bytes_per_ns = float(np.median(bytes_per_ns))
        effects = bytes_per_ns / usual_bytes_per_ns * (probes_ns / usual_ns - 1)
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
            share, _ = least_squares(residuals, (0.0, 0.0), loss="soft_l1").x
        return cls(
            max(0.0, float(share)) / usual_bytes_per_ns,
            usual_ns,
            float(np.min(probes_ns)),
            float(np.max(probes_ns)),
        )

    @property
    def is_learned(self) -> bool:
        """True if the correction changes any latency."""
        return self != Steadying.none()

    def excess_ns(self, moved: float, probe_ns: float | None) -> float:
        """Return how long neighbours delayed a run, in ns; below 0 if they were quieter than usual.

        Args:
            moved: The bytes that the network moves.
            probe_ns: The memory probe beside its measurement, if there was one.
        """
        if (usable_ns := _usable(probe_ns)) is None:
            return 0.0
        within_ns = min(max(usable_ns, self.lowest_probe_ns), self.highest_probe_ns)
        return self.delay_ns_per_byte * moved * (within_ns / self.usual_probe_ns - 1)

    def __call__(self, network: MeasuredNetwork) -> MeasuredNetwork:
        """Return the network as it would have been measured beside the usual neighbours.

        The kernels' times keep their proportions, and stay if all of them are 0 ns.
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
        return replace(
            network,
            kernel_ns=kernel_ns,
            latency_ns=_without(excess_ns, network.latency_ns),
            lower_ns=_without(excess_ns, network.lower_ns),
            upper_ns=_without(excess_ns, network.upper_ns),
        )


def _without(excess_ns: float, measured_ns: float) -> float:
    """Subtract the delay, or as much of it as the largest correction allows."""
    most_ns = _MAX_EXCESS * measured_ns
    return measured_ns - min(max(excess_ns, -most_ns), most_ns)


def _usable(probe_ns: float | None) -> float | None:
    """Return the probe; None if no sweep over memory can have taken so long."""
    return probe_ns if probe_ns is not None and 0 < probe_ns < np.inf else None


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
