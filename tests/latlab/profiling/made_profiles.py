"""Profiles whose kernels are made up."""

from __future__ import annotations

from collections.abc import Sequence

from latlab.domain.estimate import Footprint
from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource
from latlab.profiling.profile import Profile, ProfileRow, Span


def row(
    kind: str, time_ns: float, module: str | None = None, channels: int = 8, dtype: str = "float32"
) -> ProfileRow:
    """Return a row whose interval is 10 % to each side."""
    shape = (1, 4, 4, channels)
    source = None if module is None else KernelSource(module, "Conv2d", "net.py", len(module) + 1)
    kernel = Kernel(kind, (shape,), shape, dtype=dtype)
    return ProfileRow(kernel, time_ns, 0.9 * time_ns, 1.1 * time_ns, source=source)


def profile(rows: Sequence[ProfileRow], rest_ns: float = 0.0) -> Profile:
    latency_ns = sum(row.time_ns for row in rows) + rest_ns
    return Profile(
        "net",
        "board",
        Span(latency_ns, 0.9 * latency_ns, 1.1 * latency_ns),
        tuple(rows),
        Span(rest_ns, rest_ns, rest_ns),
        Span(0.0, 0.0, 0.0),
        is_predicted=False,
        footprint=Footprint(1_000),
    )
