"""Breakdowns: where the time of a stored measurement goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the latency of one untraced run, with its 90 % interval. It may be below 0."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class PairedVisits:
    """The result of untraced visits that each have a traced one right beside them.

    Attributes:
        rest: The part of the latency that no kernel accounts for.
        tracing: By how much tracing lengthens a run.
        pairs: How many pairs were clean.
    """

    rest: Share
    tracing: Share
    pairs: int


@dataclass(frozen=True, slots=True)
class TimedKernel:
    """The time of one kernel of a program.

    Attributes:
        time_ns: The mean over the fastest quarter of all traced runs.
        lower_ns: The lower bound of the 90 % interval, from how much traced visits differ.
        upper_ns: The upper bound.
        name: The backend's name for the kernel; "" if it was fused into another one.
        instruction: The number of the program's instruction that ran it, also as a part of
            another kernel; None if the runner did not say.
    """

    time_ns: float
    lower_ns: float
    upper_ns: float
    name: str
    instruction: int | None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the time of a stored measurement goes.

    Attributes:
        paired_visits: What its pairs of visits say; None where no pair was clean, and where the
            times of single runs were removed.
        kernels: The kernels of its program in execution order; empty where they have no times.
        untimed_because: Why its traces are of no use; "" where they are, or there are none.
        traces_removed_unix_ns: Since when the times of single runs are removed; None: they are
            there.
    """

    paired_visits: PairedVisits | None
    kernels: tuple[TimedKernel, ...] = ()
    untimed_because: str = ""
    traces_removed_unix_ns: int | None = None
