"""Group measurements by the network that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork


def newest_of_each(
    networks: Iterable[MeasuredNetwork],
) -> dict[tuple[Kernel, ...], MeasuredNetwork]:
    """Return the newest measurement of each distinct network, keyed by its kernels."""
    in_time = sorted(networks, key=lambda network: network.unix_ns)
    return {network.kernels: network for network in in_time}


def rows_of_each(networks: Sequence[MeasuredNetwork]) -> list[list[int]]:
    """Return the indices of each distinct network's measurements, in order of first appearance."""
    rows: dict[tuple[Kernel, ...], list[int]] = {}
    for row, network in enumerate(networks):
        rows.setdefault(network.kernels, []).append(row)
    return list(rows.values())
