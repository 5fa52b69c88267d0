"""Takes out of latencies what a machine's neighbours put in by keeping its memory busy.

Behind a hypervisor others share the caches and the memory, for minutes on end, and no clock
nor clean-sample test sees it; but a sweep over memory beside each visit takes longer by as
much. How much of that a network feels goes with the bytes that its kernels move: one
coefficient a target, fitted on it, took 20 measurements of each of five networks from 3.0 %
of variation to 1.6. The arithmetic probe told nothing more.
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

# Relative errors of a measurement and of a prediction from other networks, roughly: a
# network measured twice says more by its difference than by what was predicted.
_MEASUREMENT_ERROR = 0.015
_PREDICTION_ERROR = 0.04
# What goes into the fit as if it had been observed: of a network that moves as much as most,
# no share of the latency follows the probe, give or take this.
_SHARE = 0.3
# A latency so many times shorter than predicted is no matter of neighbours: it would outweigh
# all others, by its error and by the bytes that it seems to move in no time.
_MAX_RATIO = 10.0
# Neighbours that take longer than the network itself are not what this is about.
_MAX_EXCESS = 0.5


@dataclass(frozen=True, slots=True)
class Steadying:
    """steadied = measured - delay_ns_per_byte × bytes moved × (probe / usual - 1), the probe
    no further from the usual one than those seen in fitting, and at most half of it."""

    delay_ns_per_byte: float
    usual_probe_ns: float
    lowest_probe_ns: float
    highest_probe_ns: float

    @classmethod
    def none(cls) -> Steadying:
        """Takes everything as it was measured."""
        return cls(0.0, 1.0, 1.0, 1.0)

    @classmethod
    def fit(cls, networks: Sequence[MeasuredNetwork], predicted_ns: FloatArray) -> Steadying:
        """predicted_ns: (networks,) each as it was predicted from others.

        Robust least squares with a random effect for each network (quasi-demeaned, Wooldridge,
        Econometric Analysis of Cross Section and Panel Data, section 10.4): the errors of
        predictions count, and those that measurements of one network share count less.
        """
        probes_ns = np.array([_usable(network.memory_probe_ns) or np.nan for network in networks])
        latencies_ns = np.array([network.latency_ns for network in networks])
        # A network without kernels moves nothing, and can tell nothing.
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

        share, _ = least_squares(residuals, (0.0, 0.0), loss="soft_l1").x
        return cls(
            max(0.0, float(share)) / usual_bytes_per_ns,
            usual_ns,
            float(np.min(probes_ns)),
            float(np.max(probes_ns)),
        )

    @property
    def is_learned(self) -> bool:
        return self != Steadying.none()

    def excess_ns(self, moved: float, probe_ns: float | None) -> float:
        """What neighbours added to what moves so many bytes; below 0 where they were quieter
        than usual."""
        if (usable_ns := _usable(probe_ns)) is None:
            return 0.0
        within_ns = min(max(usable_ns, self.lowest_probe_ns), self.highest_probe_ns)
        return self.delay_ns_per_byte * moved * (within_ns / self.usual_probe_ns - 1)

    def __call__(self, network: MeasuredNetwork) -> MeasuredNetwork:
        """As it would have been measured beside the usual neighbours. The kernels' times keep
        their proportions; where all of them are 0 ns they stay."""
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
    most_ns = _MAX_EXCESS * measured_ns
    return measured_ns - min(max(excess_ns, -most_ns), most_ns)


def _usable(probe_ns: float | None) -> float | None:
    """None for what no sweep over memory can have taken."""
    return probe_ns if probe_ns is not None and 0 < probe_ns < np.inf else None


def _demeaned(columns: FloatArray) -> FloatArray:
    """(columns, measurements) of one network, less the part of their mean that is the
    network's own."""
    measurements = columns.shape[1]
    between = np.hypot(_MEASUREMENT_ERROR, np.sqrt(measurements) * _PREDICTION_ERROR)
    demeaned: FloatArray = columns - (1 - _MEASUREMENT_ERROR / between) * columns.mean(
        axis=1, keepdims=True
    )
    return demeaned
