"""A profile: where the latency of a network goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from latlab.domain.estimate import Footprint
from latlab.domain.kernel import PORTABLE, Kernel
from latlab.domain.program import KernelSource


class Place(str, Enum):
    """Where a kernel runs."""

    DELEGATE = "delegate"
    PORTABLE = "portable"


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One kernel of a profile.

    Attributes:
        kernel: The kernel.
        time_ns: How long it takes in one run, in ns.
        lower_ns: The lower bound of the time's 90 % interval.
        upper_ns: The upper bound.
        instruction: The number of the program's instruction that runs it, from 0. The kernels of
            one delegate call have the same. None where it is not known.
        source: Where it comes from in the network's code; None where it is not known.
        name: The backend's name for the kernel as it ran; "" where it was predicted.
    """

    kernel: Kernel
    time_ns: float
    lower_ns: float
    upper_ns: float
    instruction: int | None = None
    source: KernelSource | None = None
    name: str = ""

    @property
    def place(self) -> Place:
        """Where the kernel runs."""
        return Place.PORTABLE if self.kernel.kind.startswith(PORTABLE) else Place.DELEGATE


@dataclass(frozen=True, slots=True)
class Span:
    """A time with its 90 % interval, in ns. It may be below zero where noise exceeds it."""

    time_ns: float
    lower_ns: float
    upper_ns: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the latency of one network on one target goes.

    Attributes:
        network: The network's name, as the user gave it.
        target: The target's name.
        latency: The latency of one untraced run.
        rows: The kernels in execution order. They are empty where a trace does not match the
            program and nothing could be predicted.
        rest: The part of the latency that no kernel accounts for, measured on its own: untraced
            visits minus the kernels of traced visits beside them. None where nothing was
            measured, or no pair of visits was clean.
        tracing: By how much tracing lengthens a run; None where the rest is None.
        is_predicted: Whether the kernels' times are predictions.
        footprint: What the program costs beside its latency.
        notes: What a reader must know about the profile, as sentences.
    """

    network: str
    target: str
    latency: Span
    rows: tuple[ProfileRow, ...]
    rest: Span | None
    tracing: Span | None
    is_predicted: bool
    footprint: Footprint
    notes: tuple[str, ...] = ()

    @property
    def rest_ns(self) -> float:
        """The time that no kernel accounts for: as measured, or else the rest of the latency."""
        if self.rest is not None:
            return self.rest.time_ns
        return self.latency.time_ns - sum(row.time_ns for row in self.rows)

    def share(self, time_ns: float) -> float:
        """Return a time as a share of the latency."""
        return time_ns / self.latency.time_ns

    def without_sources(self) -> Profile:
        """Return the profile without anything from the network's code."""
        return replace(self, rows=tuple(replace(row, source=None) for row in self.rows))
