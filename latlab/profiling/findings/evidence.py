"""The evidence that the search for findings looks at, and the places of defects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latlab.domain.kernel import PORTABLE, Kernel
from latlab.profiling.findings.finding import FindingKind, Processor
from latlab.profiling.findings.rates import NOTHING, Amount, Rates, rates_of
from latlab.profiling.findings.work import has_shapes
from latlab.profiling.profile import Place, Profile, ProfileRow, Span


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a profile that took time, and its place among all of them."""

    place: int
    row: ProfileRow

    @property
    def kernel(self) -> Kernel:
        """The row's kernel."""
        return self.row.kernel

    @property
    def is_portable(self) -> bool:
        """True if the kernel runs outside the delegate."""
        return self.row.place is Place.PORTABLE

    @property
    def operator(self) -> str:
        """The name of the operator outside the delegate; "" inside it."""
        return self.kernel.kind.removeprefix(PORTABLE) if self.is_portable else ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that the search for findings looks at.

    Attributes:
        rows: The rows that took time. Those that the runtime fused into others are left out, and
            those whose shapes are not what their kind has, as a strange program's may be.
        rates: What work costs in the delegate.
        processor: The target's processor.
        rest: The part of the latency that no kernel accounts for.
    """

    rows: Sequence[Row]
    rates: Rates
    processor: Processor
    rest: Span | None

    @staticmethod
    def of(profile: Profile, processor: Processor) -> Evidence:
        """Return the evidence that a profile holds."""
        rows = tuple(
            Row(place, row)
            for place, row in enumerate(profile.rows)
            if row.time_ns > 0 and has_shapes(row.kernel)
        )
        return Evidence(
            rows,
            rates_of([row.row for row in rows], processor.vector_floats),
            processor,
            profile.rest,
        )


@dataclass(frozen=True, slots=True)
class Site:
    """One place in a network where a defect costs time. Equal defects become one finding.

    Attributes:
        kind: The kind of defect.
        rows: The places of its rows.
        cost: What it costs there.
        what: What is slow and why. It is equal for equal defects.
        remedy: What to do.
    """

    kind: FindingKind
    rows: tuple[int, ...]
    cost: Span
    what: str
    remedy: str


def saving(rows: Iterable[Row], remaining: Amount = NOTHING) -> Span:
    """Return what rows take, less what remains of it once the remedy is applied."""
    found = [row.row for row in rows]
    return Span(
        sum(row.time_ns for row in found) - remaining.middle,
        sum(row.lower_ns for row in found) - remaining.high,
        sum(row.upper_ns for row in found) - remaining.low,
    )


def saved_share(rows: Iterable[Row], least: float, middle: float, most: float) -> Span:
    """Return what rows take, times the share of it that the remedy saves and the share's bounds."""
    found = [row.row for row in rows]
    return Span(
        sum(row.time_ns for row in found) * middle,
        sum(row.lower_ns for row in found) * least,
        sum(row.upper_ns for row in found) * most,
    )


def places(rows: Iterable[Row]) -> tuple[int, ...]:
    """Return the places of some rows, each once and in ascending order."""
    return tuple(sorted({row.place for row in rows}))
