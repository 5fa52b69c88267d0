"""Gives each kernel of a network its time out of a runner's trace.

Kernels and trace are both in the order the backend runs them, so position decides and
the name is the proof: every kind has the names that XNNPACK reports it under. Portable
operators, kind `portable:<operator>`, are reported under the operator's own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from latency_models import kernel as k
from latency_models.kernel import Kernel

PORTABLE = "portable:"

_TRACE_NAMES: dict[str, tuple[str, ...]] = {
    k.CONV2D: ("Convolution (",),
    k.DEPTHWISE_CONV2D: ("Convolution (",),
    k.FULLY_CONNECTED: ("Fully Connected (",),
    k.ADD: ("Add (",),
    k.MULTIPLY: ("Multiply (",),
    k.SIGMOID: ("Sigmoid (",),
    k.HARDSWISH: ("HardSwish (",),
    k.CLAMP: ("Clamp (",),
    k.GLOBAL_AVG_POOL2D: ("Mean (", "Global Average Pooling ("),
    k.AVG_POOL2D: ("Average Pooling (",),
    k.MAX_POOL2D: ("Max Pooling (",),
    k.CONCATENATE: ("Concatenate (", "Copy ("),
    k.TRANSPOSE: ("Transpose (",),
    k.RESHAPE: ("Static Reshape (", "Copy ("),
    k.CONSTANT_PAD: ("Constant Pad (",),
}

_RESOLUTION_NS = 1_000  # of XNNPACK's profiler: a kernel under 2 µs reads 0, 1 or 2 µs


class TraceMismatch(Exception):
    """A kernel list and a trace are not of the same network."""


def align(
    kernels: Sequence[Kernel], traces: Sequence[tuple[str, Sequence[int]]]
) -> tuple[float, ...]:
    """The mean time of each kernel in ns, parallel to `kernels`.

    traces: each kernel's name and its durations in ns, one for each traced run.
    Raises TraceMismatch naming the first position where kernels and trace differ, and
    where a kernel has no durations.
    """
    for position, (kernel, trace) in enumerate(zip_longest(kernels, traces)):
        if kernel is None or trace is None or not _is_named(kernel, trace[0]):
            raise TraceMismatch(
                f"position {position}: expected {kernel or 'no more kernels'}, "
                f"the trace has {trace[0] if trace else 'ended'} "
                f"({len(kernels)} kernels, {len(traces)} in the trace)"
            )
        if len(trace[1]) == 0:
            raise TraceMismatch(f"position {position}: {kernel} has no durations")
    return tuple(_mean_undisturbed(durations) for _, durations in traces)


def _is_named(kernel: Kernel, trace_name: str) -> bool:
    if kernel.kind.startswith(PORTABLE):
        return _operator(kernel.kind.removeprefix(PORTABLE)) == _operator(trace_name)
    return trace_name.startswith(_TRACE_NAMES.get(kernel.kind, ()))


def _operator(name: str) -> str:
    """`aten::mean.out` and `aten.mean.out` are one operator."""
    return name.replace("::", ".")


def _mean_undisturbed(durations_ns: Sequence[int]) -> float:
    """The mean of the runs inside Tukey's outer fence.

    An interrupted run adds whole time slices to one kernel, so a plain mean will not do;
    a median, and a mean trimmed on both sides, would turn a kernel of 0.3 µs, which reads
    0 or 1 µs, into 0. The fence is never nearer than two steps of the resolution.
    """
    values = np.asarray(durations_ns, dtype=np.float64)
    lower_quartile, upper_quartile = np.quantile(values, (0.25, 0.75))
    fence = upper_quartile + max(3 * (upper_quartile - lower_quartile), 2 * _RESOLUTION_NS)
    return float(values[values <= fence].mean())
