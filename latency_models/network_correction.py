"""The correction from summed kernel times, which are traced, to the untraced latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

FloatArray = NDArray[np.float64]

# Standard deviation of the prior of the intercept, whose mean is 0, as a share of a typical
# latency. A few networks of similar size cannot separate the intercept from the scale.
_INTERCEPT_SHARE = 0.02
_INTERCEPT_SHARE_OF_SHORT = 1.0  # of single operators it may be nearly all
# Then the kernels' part is too small to show their scale, which is about 1.
_SCALE_SHARE_OF_SHORT = 0.2
# Standard deviation of the prior by which the scales of all kinds are equal. Whether caches are
# warm for a kernel depends on its kind. But kinds always come together, and a few networks
# cannot separate them.
_KIND_SHARE = 0.2
_TYPICAL_ERROR = 0.03  # relative; larger errors count linearly, not by their square
# A network whose kernels take so many times as long as the whole network, at the median scale,
# is left out: it would outweigh all others, because relative errors are at least -1 but have
# no upper limit.
_MAX_RATIO = 10.0
_MIN_LATENCY_NS = 1.0


@dataclass(frozen=True)
class Correction:
    """A linear correction: latency = intercept + sum over kinds of scale × the kind's sum.

    Attributes:
        intercept_ns: At least 0.
        kinds: The kinds of kernels.
        scales: (kinds,) at least 0.
    """

    intercept_ns: float
    kinds: tuple[str, ...]
    scales: FloatArray

    @classmethod
    def fit(
        cls,
        kinds: Sequence[str],
        sums_ns: FloatArray,
        latencies_ns: FloatArray,
        *,
        are_short: bool = False,
    ) -> Correction:
        """Fit the correction by robust least squares on relative errors.

        Args:
            kinds: The kinds of kernels.
            sums_ns: (networks, kinds) the times of each kind's kernels, at least 0. All times of
                a network may be 0, because the runtime's profiler reads 0 for tiny kernels.
            latencies_ns: (networks,) the untraced latencies, above 0.
            are_short: Whether the fixed time of a run may be most of the latencies.
        """
        shares = sums_ns / latencies_ns[:, None]
        timed = shares.sum(axis=1)
        scale = float(np.median(1 / timed[timed > 0])) if np.any(timed > 0) else 1.0
        plausible = scale * timed <= _MAX_RATIO  # true for at least half of the networks
        shares, latencies_ns = shares[plausible], latencies_ns[plausible]
        typical_ns = float(np.median(latencies_ns))
        intercept_share = _INTERCEPT_SHARE_OF_SHORT if are_short else _INTERCEPT_SHARE

        def residuals(parameters: FloatArray) -> FloatArray:
            intercept, scale, *kind_scales = parameters
            errors = intercept * typical_ns / latencies_ns + scale * shares @ kind_scales - 1
            assumed = [intercept / intercept_share, *((np.array(kind_scales) - 1) / _KIND_SHARE)]
            assumed += [(scale - 1) / _SCALE_SHARE_OF_SHORT] * are_short
            return np.concatenate([errors / _TYPICAL_ERROR, assumed])

        start = [0.0, scale, *np.ones(len(kinds))]
        intercept, scale, *kind_scales = least_squares(
            residuals, start, bounds=(0.0, np.inf), loss="soft_l1"
        ).x
        return cls(float(intercept) * typical_ns, tuple(kinds), scale * np.array(kind_scales))

    def __call__(self, sums_ns: FloatArray, guessed_ns: FloatArray | float = 0.0) -> FloatArray:
        """Return the (networks,) latencies in ns, at least 1.

        Args:
            sums_ns: (networks, kinds) the times of each kind's kernels.
            guessed_ns: (networks,) the times of kernels of other kinds. They are scaled like most.
        """
        usual_scale = float(np.median(self.scales)) if len(self.scales) else 1.0
        corrected: FloatArray = self.intercept_ns + sums_ns @ self.scales + usual_scale * guessed_ns
        return np.maximum(corrected, _MIN_LATENCY_NS)

    def __str__(self) -> str:
        """Return the correction as a formula."""
        scaled = (f"{s:.3f} × {kind}" for kind, s in zip(self.kinds, self.scales, strict=True))
        return " + ".join([f"{self.intercept_ns / 1e6:.3f} ms", *scaled])
