"""Group measurements by the network that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork, Structure

FloatArray = NDArray[np.float64]

# The relative error that measurements of one network at different times have besides the one that
# their intervals show.
_SESSION_ERROR = 0.01
HALF_WIDTHS = float(norm.ppf(0.95))  # of a 90 % interval, in standard deviations


def newest_of_each(
    networks: Iterable[MeasuredNetwork],
) -> dict[tuple[Kernel, ...], MeasuredNetwork]:
    """Return the newest measurement of each distinct network, keyed by its kernels."""
    in_time = sorted(networks, key=lambda network: network.unix_ns)
    return {network.kernels: network for network in in_time}


def rows_of_each(networks: Sequence[MeasuredNetwork]) -> list[list[int]]:
    """Return the indices of each distinct network's measurements, in order of first appearance."""
    rows: dict[tuple[tuple[Kernel, ...], Structure | None], list[int]] = {}
    # Measurements of one network share its kernels' object, and hashing it takes long.
    rows_by_address: dict[tuple[int, int], list[int]] = {}
    for row, network in enumerate(networks):
        address = id(network.kernels), id(network.structure)
        if address not in rows_by_address:
            key = network.kernels, network.structure
            rows_by_address[address] = rows.setdefault(key, [])
        rows_by_address[address].append(row)
    return list(rows.values())


def each_once(networks: Sequence[MeasuredNetwork]) -> list[MeasuredNetwork]:
    """Combine the measurements of each distinct network, in order of first appearance."""
    return [combined([networks[row] for row in rows]) for rows in rows_of_each(networks)]


def combined(measurements: Sequence[MeasuredNetwork]) -> MeasuredNetwork:
    """Combine measurements of one network, each weighted by its precision.

    Times of kernels are combined over the measurements that have them, and so are the probes.

    Args:
        measurements: At least one. All have the same kernels and structure.
    """
    if len(measurements) == 1:
        return measurements[0]
    errors = np.array([log(n.upper_ns / n.lower_ns) / (2 * HALF_WIDTHS) for n in measurements])
    weights = 1 / (errors**2 + _SESSION_ERROR**2)
    logarithms = np.log([network.latency_ns for network in measurements])
    latency_ns = exp(np.average(logarithms, weights=weights))
    factor = exp(HALF_WIDTHS / np.sqrt(weights.sum()))
    kernel_ns = _mean([network.kernel_ns for network in measurements], weights)
    return MeasuredNetwork(
        kernels=measurements[0].kernels,
        kernel_ns=None if kernel_ns is None else tuple(kernel_ns.tolist()),
        latency_ns=latency_ns,
        lower_ns=latency_ns / factor,
        upper_ns=latency_ns * factor,
        unix_ns=max(network.unix_ns for network in measurements),
        memory_probe_ns=_number(_mean([n.memory_probe_ns for n in measurements], weights)),
        traced_memory_probe_ns=_number(
            _mean([n.traced_memory_probe_ns for n in measurements], weights)
        ),
        structure=measurements[0].structure,
    )


def _mean(
    values: Sequence[float | tuple[float, ...] | None], weights: FloatArray
) -> FloatArray | None:
    """Return the weighted mean of the values that are there; None if there is none."""
    rows = [row for row, value in enumerate(values) if value is not None]
    if not rows:
        return None
    mean: FloatArray = np.average([values[row] for row in rows], axis=0, weights=weights[rows])
    return mean


def _number(mean: FloatArray | None) -> float | None:
    return None if mean is None else float(mean)
