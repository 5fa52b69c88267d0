"""Assign the times in a runner's trace to the kernels of a network.

Kernels and trace are both in the order in which the backend runs them. So they are matched by
position, and their names confirm the match. Most kinds have the same name on both sides.
Portable operators, of the kind `portable:<operator>`, appear under the operator's own name.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

import numpy as np

from latlab.domain import kernel as k
from latlab.domain.errors import TraceMismatch
from latlab.domain.kernel import Kernel

# XNNPACK's names of kernels, where they differ from the kind.
_TRACE_NAMES: dict[str, tuple[str, ...]] = {
    k.CONV2D: ("Convolution", "Fully Connected"),  # the latter for 1×1
    k.DEPTHWISE_CONV2D: ("Convolution",),
    k.CONV_TRANSPOSE2D: ("Deconvolution",),
    k.MULTIPLY: ("Square",),  # a tensor times itself
    k.GLOBAL_AVG_POOL2D: ("Mean", "Global Average Pooling"),
    k.AVG_POOL2D: ("Average Pooling",),
    k.MAX_POOL2D: ("Max Pooling",),
    k.CONCATENATE: ("Copy",),
    k.RESHAPE: ("Static Reshape", "Copy"),
    "static_resize_bilinear2_d": ("Resize Bilinear",),
    "gelu": ("GELU", "ApproxGELU"),
    "div": ("Divide",),
    "sin": ("Sine",),
    "cos": ("Cosine",),
}

_LOOK_UP_TABLE = "Invalid Unary Op"  # XNNPACK's name for any operator that it tabulates in int8

# These kinds always include their activation. For others it may be a separate clamp.
_FUSE_ACTIVATION = frozenset({k.CONV2D, k.DEPTHWISE_CONV2D, k.FULLY_CONNECTED})

_FUSED_WHERE_POSSIBLE = frozenset({k.CLAMP, k.CONSTANT_PAD})

_DYNAMICALLY_QUANTIZED = "qdint8"  # the dtype of activations whose range each run finds anew

# Finds "mean" in `aten::mean.out`, in `aten.mean.dim` and in `native_call_mean.out`.
_OPERATOR = re.compile(r"(?:native_call_)?(?:\w+::|\w+\.(?=\w+\.))?(\w+)")

_RESOLUTION_NS = 1_000  # of older runners: they read 0, 1 or 2 µs where less than 2 µs passed


def align(
    kernels: Sequence[Kernel], traces: Sequence[tuple[str, Sequence[int]]]
) -> tuple[float, ...]:
    """Return the mean time of each kernel in ns, in the order of `kernels`.

    Args:
        kernels: The network's kernels.
        traces: Each traced kernel's name and its durations in ns, one for each traced run.

    Raises:
        TraceMismatch: Kernels and trace differ, or a kernel has no durations. The message
            names the first position.
    """
    positions = match(kernels, [name for name, _ in traces])
    return tuple(
        sum((_mean_undisturbed(*traces[each]) for each in matched), 0.0) for matched in positions
    )


def match(kernels: Sequence[Kernel], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return the positions in a trace of each kernel, in the order of `kernels`.

    The runtime fuses some kernels into the one before or after them: see `_is_fused`. They have
    no position. It also splits the activation off an addition, which then has two.

    Args:
        kernels: The network's kernels.
        names: The names of the trace, in its order.

    Raises:
        TraceMismatch: Kernels and trace differ. The message names the first position.
    """
    positions: list[tuple[int, ...]] = []
    unmatched = deque(enumerate(names))
    for position, kernel in enumerate(kernels):
        if not _is_next(unmatched, kernel.kind):
            if _is_fused(kernel, kernels[position - 1] if position else None):
                positions.append(())
                continue
            raise TraceMismatch(
                f"the trace differs from the network at position {position}: expected {kernel}, "
                f"the trace has {unmatched[0][1] if unmatched else 'ended'} "
                f"({len(kernels)} kernels, {len(names)} in the trace)"
            )
        positions.append((unmatched.popleft()[0],))
        splits = kernel.activation and kernel.kind not in _FUSE_ACTIVATION
        if splits and _is_next(unmatched, k.CLAMP):
            positions[-1] += (unmatched.popleft()[0],)
    if unmatched:
        raise TraceMismatch(
            f"the trace differs from the network at position {len(kernels)}: "
            f"expected no more kernels, the trace has {unmatched[0][1]} "
            f"({len(kernels)} kernels, {len(names)} in the trace)"
        )
    return tuple(positions)


def _is_fused(kernel: Kernel, previous: Kernel | None) -> bool:
    """Return whether the runtime may have fused a kernel that its trace lacks.

    It fuses a clamp into the kernel before it, a pad into the convolution after it, a reshape into
    a reshape before it, and in int8 a tensor's product with its own sigmoid into one table. It
    quantizes dynamically inside the layer that follows.
    """
    if kernel.kind in _FUSED_WHERE_POSSIBLE:
        return True
    if kernel.kind == k.CONVERT and kernel.dtype == _DYNAMICALLY_QUANTIZED:
        return True
    if previous is None:
        return False
    if kernel.kind == k.MULTIPLY:
        is_int8 = kernel.dtype == previous.dtype == "qint8"
        return is_int8 and previous.kind == k.SIGMOID and previous.output == kernel.output
    return kernel.kind == previous.kind == k.RESHAPE


def _is_next(unmatched: Sequence[tuple[int, str]], kind: str) -> bool:
    if not unmatched:
        return False
    name = unmatched[0][1]
    if kind.startswith(k.PORTABLE):
        return _operator(kind.removeprefix(k.PORTABLE)) == _operator(name)
    operator = name.split(" (")[0]
    if name.startswith(_LOOK_UP_TABLE):
        return kind in k.UNARY_KINDS
    return operator in _TRACE_NAMES.get(kind, ()) or _letters(operator) == _letters(kind)


def _letters(name: str) -> str:
    """Return the letters that XNNPACK's `Slice` and the exporter's `static_slice` share."""
    return re.sub(r"[^a-z]", "", name.lower().removeprefix("static_"))


def _operator(name: str) -> str:
    match = _OPERATOR.match(name)
    return match.group(1) if match else name


def _mean_undisturbed(name: str, durations_ns: Sequence[int]) -> float:
    """Return the mean over the runs that were not interrupted.

    These are the runs that take at most 1.5 times the median plus two steps of the resolution.
    An interruption adds whole time slices to one kernel, so a plain mean is too high. A median,
    or a mean trimmed on both sides, would turn a kernel of 0.3 µs, which reads 0 or 1 µs, into
    0. This mean is right even if nearly half of the runs are disturbed.

    Raises:
        TraceMismatch: The kernel has no durations.
    """
    if len(durations_ns) == 0:
        raise TraceMismatch(f"the kernel {name} has no durations in the trace")
    values = np.asarray(durations_ns, dtype=np.float64)
    limit = 1.5 * np.median(values) + 2 * _RESOLUTION_NS
    return float(values[values <= limit].mean())
