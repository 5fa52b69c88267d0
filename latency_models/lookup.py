"""The times of kernels that were measured, pooled over networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork


@dataclass(frozen=True, slots=True)
class KernelTime:
    """`mean_ns` over the networks that hold the kernel, each counted once; `spread_ns` is
    the standard deviation between them, 0 for one network.
    """

    mean_ns: float
    spread_ns: float
    networks: int


def lookup_table(networks: Sequence[MeasuredNetwork]) -> Mapping[Kernel, KernelTime]:
    """Every kernel that was traced. Networks without a trace add nothing."""
    means: dict[Kernel, list[float]] = defaultdict(list)
    for network in networks:
        if network.kernel_ns is None:
            continue
        readings: dict[Kernel, list[float]] = defaultdict(list)
        for kernel, kernel_ns in zip(network.kernels, network.kernel_ns, strict=True):
            readings[kernel].append(kernel_ns)
        for kernel, values in readings.items():
            means[kernel].append(fmean(values))
    return {
        kernel: KernelTime(
            fmean(values),
            float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            len(values),
        )
        for kernel, values in means.items()
    }
