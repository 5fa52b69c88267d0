"""The usual times of work on a device, for kernels of kinds that nobody has measured there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel

FloatArray = NDArray[np.float64]

# Times are compared as log(time + 0.5 µs): relative where they matter, and finite where
# the runtime's profiler, which counts in µs, reads 0.
OFFSET_NS = 500.0

# What work usually takes, in comparison: the middle of 80 kinds on a server's core. It decides
# where no measured kernel does, for it counts much less than a kind of kernel.
_USUAL_WEIGHT = 0.3
_CALL_NS = 500.0
_MULTIPLY_ADD_NS = 0.05  # where the fit begins; only comparisons with it count
_BYTE_MULTIPLY_ADDS = 1.5  # multiply-adds in the time of a moved byte
_ELEMENT_BYTES = 20.0  # moved bytes in the time of an element that a portable kernel moves

_MOST_OF_A_KIND = 64

# The relative error of a guess from rates alone: at least a factor of two. Without kinds to learn
# it from, a factor of four.
_LEAST_DEVIATION = log(2)
_USUAL_DEVIATION = log(4)
_MOST_DEVIATION = log(30)


@dataclass(frozen=True)
class Rates:
    """The usual time of work on a device: physical bounds for kernels that nobody measured.

    Attributes:
        call_ns: The time of a call.
        multiply_add_ns: The time of a multiply-add.
        byte_ns: The time of a moved byte.
        element_ns: The time of an element that a portable kernel moves: it does so one by one.
        deviation: The standard deviation of the logarithm of a kernel's time around what the
            rates give, for a kind of kernel that they were not fitted on.
    """

    call_ns: float
    multiply_add_ns: float
    byte_ns: float
    element_ns: float
    deviation: float

    @classmethod
    def fit(cls, kernel_ns: Mapping[Kernel, float]) -> Rates:
        """Fit rates to the logarithms of measured times, in which each kind counts alike.

        Squared errors of the times themselves would favour rates that are far too low: no guess
        is more than 100 % too low, and many are several times too high.
        """
        kernels, kinds = _some_of_each_kind(kernel_ns)
        costs = np.array([_costs(kernel) for kernel in kernels])
        log_ns = np.log(np.array([kernel_ns[kernel] for kernel in kernels]) + OFFSET_NS)
        weights = 1 / np.sqrt(np.bincount(kinds)[kinds])

        byte_ns = _BYTE_MULTIPLY_ADDS * _MULTIPLY_ADD_NS
        usual = np.log([_CALL_NS, _MULTIPLY_ADD_NS, byte_ns, _ELEMENT_BYTES * byte_ns])

        def misfits(log_rates: FloatArray) -> FloatArray:
            return np.asarray(log_ns - np.log(costs @ np.exp(log_rates) + OFFSET_NS))

        def errors(log_rates: FloatArray) -> FloatArray:
            call, multiply_add, byte, element = log_rates - usual
            against_usual = np.array([call, byte - multiply_add, element - byte])
            return np.concatenate([weights * misfits(log_rates), _USUAL_WEIGHT * against_usual])

        log_rates = least_squares(errors, usual, loss="soft_l1").x
        freedom = int(kinds.max()) + 1 - len(log_rates)
        deviation = _USUAL_DEVIATION
        if freedom > 0:
            deviation = float(np.sqrt(np.sum((weights * misfits(log_rates)) ** 2) / freedom))
        bounded = min(max(deviation, _LEAST_DEVIATION), _MOST_DEVIATION)
        call_ns, multiply_add_ns, byte_ns, element_ns = np.exp(log_rates).tolist()
        return cls(call_ns, multiply_add_ns, byte_ns, element_ns, bounded)

    def moved_byte_ns(self, kernel: Kernel) -> float:
        """Return the time of a byte that the kernel moves."""
        return self.element_ns / kernel.element_bytes if _is_portable(kernel) else self.byte_ns

    def guess_ns(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Return the (kernels,) time of each kernel in ns, whatever its kind."""
        rates = np.array([self.call_ns, self.multiply_add_ns, self.byte_ns, self.element_ns])
        guesses_ns: FloatArray = np.array([_costs(kernel) for kernel in kernels]) @ rates
        return guesses_ns


def _costs(kernel: Kernel) -> tuple[float, float, float, float]:
    """Return the call itself, the multiply-adds, the moved bytes and the moved elements.

    Moved bytes include weights. Portable kernels move elements, all others move bytes.
    """
    moved_bytes = float(kernel.moved_bytes + kernel.weights_bytes)
    if _is_portable(kernel):
        return 1.0, 0.0, 0.0, moved_bytes / kernel.element_bytes
    return 1.0, float(kernel.multiply_adds), moved_bytes, 0.0


def _is_portable(kernel: Kernel) -> bool:
    return kernel.kind.startswith(k.PORTABLE)


def _some_of_each_kind(kernels: Mapping[Kernel, float]) -> tuple[list[Kernel], NDArray[np.int64]]:
    """Return at most _MOST_OF_A_KIND kernels of each kind, and the place of each one's kind."""
    ordered = sorted(kernels)
    _, kinds = np.unique([kernel.typed_kind for kernel in ordered], return_inverse=True)
    rows = [np.flatnonzero(kinds == kind) for kind in range(int(kinds.max()) + 1)]
    some = [each[np.linspace(0, len(each) - 1, _MOST_OF_A_KIND).astype(int)] for each in rows]
    chosen = np.unique(np.concatenate(some))
    return [ordered[row] for row in chosen], kinds[chosen]
