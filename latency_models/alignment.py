"""Gives each kernel of a network its time out of a runner's trace.

Kernels and trace are both in the order the backend runs them, so position decides and
the name is the proof: every kind has the names that XNNPACK reports it under. Portable
operators, kind `portable:<operator>`, are reported under the operator's own name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from latency_models import kernel as k
from latency_models.kernel import Kernel

PORTABLE = "portable:"

_TRACE_NAMES: dict[str, tuple[str, ...]] = {
    k.CONV2D: ("Convolution (", "Fully Connected ("),  # the latter where it is 1×1
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

# "mean" of `aten::mean.out`, of `aten.mean.dim` and of the runtime's `native_call_mean.out`.
_OPERATOR = re.compile(r"(?:native_call_)?(?:\w+::|\w+\.(?=\w+\.))?(\w+)")

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
    match = _OPERATOR.match(name)
    return match.group(1) if match else name


def _mean_undisturbed(durations_ns: Sequence[int]) -> float:
    """The mean of the runs that take at most half again as long as the median, plus two
    steps of the resolution.

    An interrupted run adds whole time slices to one kernel, so a plain mean will not do.
    A median, or a mean trimmed on both sides, would turn a kernel of 0.3 µs, which reads
    0 or 1 µs, into 0. This holds with nearly half of the runs disturbed.
    """
    values = np.asarray(durations_ns, dtype=np.float64)
    limit = 1.5 * np.median(values) + 2 * _RESOLUTION_NS
    return float(values[values <= limit].mean())
