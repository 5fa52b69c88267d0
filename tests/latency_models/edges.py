"""Strategies for extreme measurements: what a device may report, and what damaged rows held."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

HOUR_NS = 3_600e9

_sizes = st.sampled_from([1, 2, 3, 7, 8, 32, 224])


@st.composite
def _kernels(draw: st.DrawFn) -> Kernel:
    kind = draw(st.sampled_from([k.CONV2D, k.DEPTHWISE_CONV2D, k.ADD, k.CLAMP, "portable:erf"]))
    side, channels = draw(_sizes), draw(_sizes)
    shape = (1, side, side, channels)
    if kind == k.CONV2D:
        return Kernel(kind, (shape,), (1, side, side, draw(_sizes)), (draw(_sizes), 1))
    return Kernel(kind, (shape,), shape)


# There are only a few kernels, so that networks share them.
kernels = st.lists(_kernels(), min_size=1, max_size=12, unique=True)
whole_us = st.integers(0, 3).map(lambda us: 1e3 * us)
times_ns = st.just(0.0) | whole_us | st.floats(0, HOUR_NS)
latencies_ns = st.floats(1, HOUR_NS) | st.floats(0, 12.5).map(lambda e: float(10**e))
probes_ns = st.sampled_from([None, 0.0, 3e6, 3e6, 1e-3, 1e18]) | st.floats(0, 1e12)


@st.composite
def measured_networks(draw: st.DrawFn, least: int = 0, most: int = 12) -> list[MeasuredNetwork]:
    """Draw measured networks that share kernels.

    There may be none, one, identical ones, one that is a thousand times slower than before, or a
    kind of kernel that a single network has.
    """
    pool = draw(kernels)
    lists = st.lists(st.sampled_from(pool), max_size=5).map(tuple)
    alike = draw(st.none() | lists)
    probe_ns = draw(st.just(probes_ns) | probes_ns.map(st.just))  # equal for all, or different
    networks = []
    for number in range(draw(st.integers(least, most))):
        network = alike if alike is not None else draw(lists)
        reading = draw(st.just(times_ns) | st.just(st.just(0.0)) | st.just(whole_us))
        traced = st.lists(reading, min_size=len(network), max_size=len(network)).map(tuple)
        latency_ns = draw(latencies_ns)
        narrow = draw(st.floats(0, 1))
        networks.append(
            MeasuredNetwork(
                kernels=network,
                kernel_ns=draw(st.none() | traced | traced),
                latency_ns=latency_ns,
                lower_ns=max(1e-3, latency_ns * (1 - narrow / 2)),
                upper_ns=latency_ns * (1 + narrow),
                unix_ns=number,
                memory_probe_ns=draw(probe_ns),
                traced_memory_probe_ns=draw(probe_ns),
            )
        )
    is_outlying: bool = draw(st.booleans())
    if networks and is_outlying:
        networks[0] = slower(networks[0], 1_000.0)
    return networks


def slower(network: MeasuredNetwork, factor: float) -> MeasuredNetwork:
    return replace(
        network,
        latency_ns=factor * network.latency_ns,
        lower_ns=factor * network.lower_ns,
        upper_ns=factor * network.upper_ns,
    )
