"""Measured networks, from which predictors learn."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Summary

_MAX_NS = float(2**63)  # beyond any clock: what is larger is damaged


@dataclass(frozen=True, slots=True)
class Structure:
    """The facts about a network that its kernels do not tell.

    Attributes:
        dead_kernels: Kernels whose output nothing uses, beside those of the network. Some
            runtimes run them, others leave them out.
        decisions: The choices that make the network one of its space, each as a text, such as
            "block 3: skip". Networks of one space make equally many.
    """

    dead_kernels: tuple[Kernel, ...] = ()
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """A network with its measured latency and kernel times.

    Attributes:
        kernels: The network's kernels, in the order in which they run.
        kernel_ns: The mean time of each kernel over the traced runs; None without a trace. A
            kernel may take 0 ns, since older runners counted whole microseconds.
        latency_ns: The latency of the untraced visits.
        lower_ns: The lower bound of its 90 % interval.
        upper_ns: The upper bound of its 90 % interval.
        unix_ns: When it was measured, in ns since 1970.
        memory_probe_ns: How long a sweep over memory took beside the untraced visits, which
            shows how busy the machine's memory was; None without a probe, and a probe that is
            below 1 ns counts as none.
        traced_memory_probe_ns: The same beside the traced visits.
        structure: What the kernels do not tell; None where nothing is known of it.

    Raises:
        ValueError: There are not as many times as kernels, a kernel's time is negative, the
            latency is not positive or outside its interval, or a time is not finite.
    """

    kernels: tuple[Kernel, ...]
    kernel_ns: tuple[float, ...] | None
    latency_ns: float
    lower_ns: float
    upper_ns: float
    unix_ns: int
    memory_probe_ns: float | None = None
    traced_memory_probe_ns: float | None = None
    structure: Structure | None = None

    @classmethod
    def of(
        cls,
        kernels: tuple[Kernel, ...],
        kernel_ns: tuple[float, ...] | None,
        summary: Summary,
        unix_ns: int,
    ) -> MeasuredNetwork:
        """Return a network with the latency and the probes of a measurement's summary."""
        return cls(
            kernels,
            kernel_ns,
            summary.latency_ns,
            summary.lower_ns,
            summary.upper_ns,
            unix_ns,
            summary.memory_probe_ns,
            summary.traced_memory_probe_ns,
        )

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        if self.kernel_ns is not None and len(self.kernel_ns) != len(self.kernels):
            raise ValueError(
                f"a network has {len(self.kernel_ns)} times for {len(self.kernels)} kernels"
            )
        if not 0 < self.lower_ns <= self.latency_ns <= self.upper_ns < _MAX_NS:
            raise ValueError(
                f"a latency of {self.latency_ns} ns cannot have the bounds {self.lower_ns} and"
                f" {self.upper_ns} ns: they must be positive, finite and on both sides of it"
            )
        for kernel_ns in self.kernel_ns or ():
            if not 0 <= kernel_ns < _MAX_NS:
                raise ValueError(f"a kernel's time must be 0 ns or more, not {kernel_ns} ns")
