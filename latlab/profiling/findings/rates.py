"""The cost of work in the delegate, estimated from a profile's own rows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.profiling.profile import Place, ProfileRow

# Starting a kernel takes a part of a shorter one's time, so its rate says nothing.
_SHORTEST_NS = 4_000
# The kinds that read and write each value about once. Their rates differ by five times.
_STREAMING_KINDS = k.UNARY_KINDS | {
    k.ADD,
    k.MULTIPLY,
    k.CONCATENATE,
    k.TRANSPOSE,
    k.MAX_POOL2D,
    k.AVG_POOL2D,
    k.CONVERT,
}
_FEWEST_POSITIONS = 16  # below it, weights and not arithmetic limit a convolution
_FEWEST_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Amount:
    """An estimate in ns, with bounds that the true value is expected in."""

    low: float
    middle: float
    high: float

    def __add__(self, other: Amount) -> Amount:
        """Return the sum of both."""
        return Amount(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> Amount:
        """Return the amount times a factor that is not negative."""
        return Amount(self.low * factor, self.middle * factor, self.high * factor)


NOTHING = Amount(0.0, 0.0, 0.0)
# What a byte costs where a profile has no streaming kernels: servers are near the lower bound,
# and small boards near the upper one.
_USUAL_BYTE_NS = Amount(0.005, 0.05, 0.5)


@dataclass(frozen=True, slots=True)
class Rates:
    """The costs of work in the delegate.

    Attributes:
        byte_ns: What a kernel that only reads and writes takes for each byte.
        multiply_add_ns: What an ordinary convolution takes for each multiply-add; None where the
            profile has none.
        depthwise_ns: What a depthwise convolution takes for each multiply-add; None where the
            profile has none.
    """

    byte_ns: Amount
    multiply_add_ns: Amount | None
    depthwise_ns: Amount | None


def rates_of(rows: Sequence[ProfileRow], vector_floats: int) -> Rates:
    """Return the rates that a profile's rows show.

    Args:
        rows: The rows.
        vector_floats: How many float32 values a vector register holds.
    """
    ordinary = [row for row in rows if _is_ordinary(row.kernel)]
    full = [row for row in ordinary if row.kernel.output[-1] % vector_floats == 0]
    return Rates(
        byte_ns=_rate((row, row.kernel.moved_bytes) for row in rows if _is_streaming(row))
        or _USUAL_BYTE_NS,
        multiply_add_ns=_rate((row, row.kernel.multiply_adds) for row in full or ordinary),
        depthwise_ns=_rate(
            (row, row.kernel.multiply_adds) for row in rows if _is_depthwise(row.kernel)
        ),
    )


def _is_streaming(row: ProfileRow) -> bool:
    return row.place is Place.DELEGATE and row.kernel.kind in _STREAMING_KINDS


def _is_ordinary(kernel: Kernel) -> bool:
    return (
        kernel.kind == k.CONV2D
        and kernel.groups == kernel.dilation == 1
        and kernel.positions >= _FEWEST_POSITIONS
        and min(kernel.inputs[0][-1], kernel.output[-1]) >= _FEWEST_CHANNELS
    )


def _is_depthwise(kernel: Kernel) -> bool:
    return (
        kernel.kind == k.DEPTHWISE_CONV2D
        and kernel.groups == kernel.output[-1]
        and kernel.kernel_size != (1, 1)
    )


def _rate(work: Iterable[tuple[ProfileRow, int]]) -> Amount | None:
    """Return the quartiles of the time per unit of work; None without a row that is long enough."""
    rates = [row.time_ns / amount for row, amount in work if row.time_ns >= _SHORTEST_NS and amount]
    if not rates:
        return None
    low, middle, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else rates * 3
    # Two similar kernels say little about how much others differ, so the bounds keep a distance.
    return Amount(max(0.0, min(low, middle / 1.5)), middle, max(high, middle * 1.5))
