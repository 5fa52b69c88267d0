"""What a measurement says of its network, for predictors to learn from."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.kernel import Kernel

_MAX_NS = float(2**63)  # beyond any clock: what is larger is damaged


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """`latency_ns` and its 90 % interval come from untraced visits. `kernel_ns`, parallel to
    `kernels`, holds means over traced runs; None where no trace was taken.

    The probes are what a sweep over memory took beside the untraced and the traced visits,
    None where none was made. They tell how busy the machine's neighbours were: see `Steadying`.
    One that is not above 0 counts as none.

    A kernel may have taken 0 ns, and so may all of them: the runtime's profiler counts whole
    microseconds.

    Raises ValueError where kernels and times differ in number, a kernel's time is below 0, a
    latency is not positive or outside its interval, or a time is no finite number.
    """

    kernels: tuple[Kernel, ...]
    kernel_ns: tuple[float, ...] | None
    latency_ns: float
    lower_ns: float
    upper_ns: float
    unix_ns: int
    memory_probe_ns: float | None = None
    traced_memory_probe_ns: float | None = None

    def __post_init__(self) -> None:
        if self.kernel_ns is not None and len(self.kernel_ns) != len(self.kernels):
            raise ValueError(f"{len(self.kernel_ns)} times for {len(self.kernels)} kernels")
        if not 0 < self.lower_ns <= self.latency_ns <= self.upper_ns < _MAX_NS:
            raise ValueError(
                f"latency {self.latency_ns} ns outside [{self.lower_ns}, {self.upper_ns}] ns"
            )
        for kernel_ns in self.kernel_ns or ():
            if not 0 <= kernel_ns < _MAX_NS:
                raise ValueError(f"a kernel's time of {kernel_ns} ns is none")
