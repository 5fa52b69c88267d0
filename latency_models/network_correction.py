"""From the sum of a network's kernels, traced, to the whole network, untraced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

FloatArray = NDArray[np.float64]

# What goes into the fit as if it had been observed: an intercept of 0, give or take this
# share of a typical latency. A few networks of much the same size cannot tell the
# intercept from the scale.
_INTERCEPT_SHARE = 0.02
# And scales that are equal for all kinds of kernels, give or take this share. Caches are
# warm or cold for a kernel, and its errors alike, by what it is; but kinds always come
# together, and a few networks cannot tell them apart.
_KIND_SHARE = 0.2
_TYPICAL_ERROR = 0.03  # relative; larger ones count by their size, not its square
# Kernels that are said to take so many times as long as the whole network, by the scale that
# holds for half of the networks: one such would outweigh all others, for errors below 0 end
# at -1 and those above it nowhere. It is left out.
_MAX_RATIO = 10.0
_MIN_LATENCY_NS = 1.0


@dataclass(frozen=True)
class Correction:
    """latency = intercept + sum over kinds of scale × sum of the kind's kernels, none of
    them below 0."""

    intercept_ns: float
    kinds: tuple[str, ...]
    scales: FloatArray

    @classmethod
    def fit(cls, kinds: Sequence[str], sums_ns: FloatArray, latencies_ns: FloatArray) -> Correction:
        """Robust least relative squares.

        sums_ns: (networks, kinds), at least 0. A row may be 0 in all: the runtime's profiler
        counts whole microseconds, and tiny kernels read 0. latencies_ns: (networks,) above 0.
        """
        shares = sums_ns / latencies_ns[:, None]
        timed = shares.sum(axis=1)
        scale = float(np.median(1 / timed[timed > 0])) if np.any(timed > 0) else 1.0
        plausible = scale * timed <= _MAX_RATIO  # at least for half of them
        shares, latencies_ns = shares[plausible], latencies_ns[plausible]
        typical_ns = float(np.median(latencies_ns))

        def residuals(parameters: FloatArray) -> FloatArray:
            intercept, scale, *of_kinds = parameters
            errors = intercept * typical_ns / latencies_ns + scale * shares @ of_kinds - 1
            assumed = [intercept / _INTERCEPT_SHARE, *((np.array(of_kinds) - 1) / _KIND_SHARE)]
            return np.concatenate([errors / _TYPICAL_ERROR, assumed])

        start = [0.0, scale, *np.ones(len(kinds))]
        intercept, scale, *of_kinds = least_squares(
            residuals, start, bounds=(0.0, np.inf), loss="soft_l1"
        ).x
        return cls(float(intercept) * typical_ns, tuple(kinds), scale * np.array(of_kinds))

    def __call__(self, sums_ns: FloatArray) -> FloatArray:
        """(networks, kinds) to (networks,), in ns, at least 1."""
        corrected: FloatArray = self.intercept_ns + sums_ns @ self.scales
        return np.maximum(corrected, _MIN_LATENCY_NS)

    def __str__(self) -> str:
        scaled = (f"{s:.3f} × {kind}" for kind, s in zip(self.kinds, self.scales, strict=True))
        return " + ".join([f"{self.intercept_ns / 1e6:.3f} ms", *scaled])
