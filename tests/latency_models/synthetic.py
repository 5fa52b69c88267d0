"""A simulated machine with the habits of real ones, for tests without a device.

Times follow a true roofline (the slower of computing and moving data) with tiles, caches and a
quirk for each kernel. Each visit has its own speed, the tracer counts in µs, and some runs are
interrupted. None of this is expressed in the terms that the regressors use.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from math import ceil, exp, log, prod

import numpy as np

from latency_models.alignment import align
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from search.space.kernels import kernels
from search.space.space import mnasnet_space

TRACE_NAMES = {
    k.CONV2D: "Convolution (NHWC, F32) IGEMM",
    k.DEPTHWISE_CONV2D: "Convolution (NHWC, F32) DWConv",
    k.FULLY_CONNECTED: "Fully Connected (NC, F32) GEMM",
    k.ADD: "Add (ND)",
    k.MULTIPLY: "Multiply (ND)",
    k.SIGMOID: "Sigmoid (NC)",
    k.GLOBAL_AVG_POOL2D: "Mean (ND) Reduce2",
    k.AVG_POOL2D: "Average Pooling (NHWC, F32) Pixelwise Average Pooling",
    k.TRANSPOSE: "Transpose (ND, X32)",
    k.RESHAPE: "Static Reshape (NC)",
    k.CONVERT: "Convert (NC)",
}

_VISITS = 5
_TRACED_RUNS = 40
_INTERRUPTED = 0.03


def random_networks(count: int, seed: int) -> list[tuple[Kernel, ...]]:
    rng, space = np.random.default_rng(seed), mnasnet_space()
    return [kernels(space.resolve(space.sample(rng))) for _ in range(count)]


class Machine:
    """A simulated machine.

    Attributes:
        mood: Standard deviation of the logarithm of a visit's speed.
    """

    def __init__(self, seed: int = 0, *, mood: float = 0.03, quirk: float = 0.03) -> None:
        self._rng = np.random.default_rng(seed)
        self._mood, self._quirk = mood, quirk

    def measure_all(self, networks: Sequence[tuple[Kernel, ...]]) -> list[MeasuredNetwork]:
        return [self.measure(network, unix_ns) for unix_ns, network in enumerate(networks)]

    def measure(self, network: tuple[Kernel, ...], unix_ns: int = 0) -> MeasuredNetwork:
        visits = sorted(self.latency_ns(network) * self._moods(_VISITS))
        return MeasuredNetwork(
            kernels=network,
            kernel_ns=align(network, self.trace(network)),
            latency_ns=float(visits[_VISITS // 2]),
            lower_ns=float(visits[0]),
            upper_ns=float(visits[-1]),
            unix_ns=unix_ns,
        )

    def latency_ns(self, network: Sequence[Kernel]) -> float:
        """Return the true latency: a bit less than the traced kernels, plus a fixed part."""
        return 30_000 + 0.97 * sum(map(self.kernel_ns, network))

    def trace(self, network: Sequence[Kernel]) -> list[tuple[str, list[int]]]:
        moods = self._moods(2).repeat(_TRACED_RUNS // 2)
        traces = []
        for kernel in network:
            runs_ns = self.kernel_ns(kernel) * moods * self._rng.lognormal(0, 0.02, _TRACED_RUNS)
            interrupted = self._rng.random(_TRACED_RUNS) < _INTERRUPTED / 10
            runs_ns += interrupted * 4_000_000
            read_ns = (runs_ns / 1_000 + self._rng.random(_TRACED_RUNS)).astype(int) * 1_000
            traces.append((TRACE_NAMES[kernel.kind], read_ns.tolist()))
        return traces

    def kernel_ns(self, kernel: Kernel) -> float:
        """Return the true time of a kernel."""
        taps, channels = prod(kernel.kernel_size), kernel.output[-1]
        moved_bytes = 4.0 * (sum(map(prod, kernel.inputs)) + prod(kernel.output))
        compute_ns = 0.0
        if kernel.kind in (k.CONV2D, k.FULLY_CONNECTED):
            depth = kernel.inputs[0][-1] * taps
            rows = prod(kernel.output) // channels
            tiles = ceil(rows / 7) * ceil(channels / 32) if rows > 1 else ceil(channels / 16)
            compute_ns = tiles * (30 + depth * (3.5 if rows > 1 else 1.0))
            compute_ns *= 1 + 0.3 * _above(4.0 * depth * channels, 1 << 20)
            moved_bytes += 4.0 * depth * channels
        elif kernel.kind == k.DEPTHWISE_CONV2D:
            window_bytes = 4.0 * kernel.inputs[0][2] * channels * kernel.kernel_size[0]
            per_tap = 0.05 * (1 + 0.5 * _above(window_bytes, 1 << 15))
            compute_ns = prod(kernel.output) / channels * 16 * ceil(channels / 16) * taps * per_tap
        elif kernel.kind == k.AVG_POOL2D:
            compute_ns = prod(kernel.output) * taps * 0.02
        elif kernel.kind == k.SIGMOID:
            compute_ns = prod(kernel.output) * 1.0
        per_byte = 0.008 + 0.02 * _above(moved_bytes, 1 << 20) + 0.04 * _above(moved_bytes, 1 << 23)
        return 150 + max(compute_ns, moved_bytes * per_byte) * self._quirk_of(kernel)

    def _moods(self, visits: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self._rng.lognormal(0, self._mood, visits)

    def _quirk_of(self, kernel: Kernel) -> float:
        rng = np.random.default_rng(zlib.crc32(str(kernel).encode()))
        return exp(rng.normal(0, self._quirk))


def _above(size_bytes: float, cache_bytes: float) -> float:
    """Return 0 well inside a cache and 1 well outside."""
    return 1 / (1 + exp(-3 * log(size_bytes / cache_bytes)))
