"""Operators that run outside the delegate: paddings, poolings, resizing, and all others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.profiling.findings.evidence import Evidence, Row, Site, places, saving
from latlab.profiling.findings.finding import FindingKind
from latlab.profiling.findings.layouts import is_to_nhwc
from latlab.profiling.findings.rates import NOTHING

_RESIZING = "static_resize_bilinear2_d"


@dataclass(frozen=True, slots=True)
class _Advice:
    """What to do about an operator outside the delegate.

    Attributes:
        remedy: What to do.
        passes: How often the replacement moves the operator's inputs and outputs; 0 where nothing
            remains of it.
        kind: The kind of finding.
    """

    remedy: str
    passes: float
    kind: FindingKind = FindingKind.OUTSIDE


_BATCH_NORM = _Advice(
    "Use nn.BatchNorm2d directly after a convolution, whose weights then take it in.", 0
)
_LAYER_NORM = _Advice("Use fewer layer normalizations, which XNNPACK does not have.", 0)
_ACTIVATION = _Advice("Use nn.ReLU, nn.Hardswish, nn.GELU or nn.LeakyReLU, which run inside.", 1)
_AFTERWARDS = _Advice(
    "Compute it in your own code, before or after the network, or on a smaller tensor.", 0.5
)
_NEAREST = _Advice(
    'Use nn.Upsample(mode="bilinear") or nn.PixelShuffle, which run inside the delegate.', 2
)
_MASK = _Advice("Multiply with a mask of 0 and 1, or use F.relu and torch.clamp, instead.", 2)
_POOL = _Advice(
    "Use a kernel size, stride and padding with ceil_mode=False, no divisor_override, and"
    " count_include_pad=False where an average pool pads.",
    2,
    FindingKind.VARIANT,
)
_ADAPTIVE = _Advice(
    "Use output sizes that divide the input's, nn.AdaptiveAvgPool2d(1), or nn.AvgPool2d.",
    2,
    FindingKind.VARIANT,
)
_PAD = _Advice('Use padding_mode="zeros", which a convolution does itself.', 0, FindingKind.VARIANT)
_COPY = _Advice(
    "Leave out contiguous(), clone() and to() with a memory format or dtype.",
    0,
    FindingKind.LAYOUT,
)
_MEAN = _Advice("Average over height and width with keepdim=True, on 4 dimensions.", 1)

_ADVICE: dict[str, _Advice] = {
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _POOL),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices"), _POOL),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), _ADAPTIVE),
    **dict.fromkeys(("adaptive_max_pool2d", "adaptive_max_pool3d"), _ADAPTIVE),
    **dict.fromkeys(
        (f"{mode}_pad{rank}d" for mode in ("reflection", "replication") for rank in (1, 2, 3)), _PAD
    ),
    "native_group_norm": _BATCH_NORM,
    **dict.fromkeys(("_native_batch_norm_legit", "native_batch_norm"), _BATCH_NORM),
    **dict.fromkeys(("_native_batch_norm_legit_no_training",), _BATCH_NORM),
    **dict.fromkeys(("elu", "log1p", "expm1", "erf", "hardsigmoid", "atan"), _ACTIVATION),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bicubic2d"), _NEAREST),
    **dict.fromkeys(("where", "gt", "lt", "ge", "le", "eq", "ne", "masked_fill"), _MASK),
    **dict.fromkeys(("cumsum", "sort", "topk", "argmax", "argmin", "max", "min"), _AFTERWARDS),
    **dict.fromkeys(("mean", "sum", "var", "std"), _MEAN),
    **dict.fromkeys(("dim_order_ops::_clone_dim_order", "clone"), _COPY),
    "dim_order_ops::_to_dim_order_copy": _COPY,
    "expand_copy": _Advice("Leave it out: arithmetic broadcasts by itself.", 0),
    "split_with_sizes_copy": _Advice("Use slices such as x[:, :8], which run inside.", 1),
    "pow": _Advice("Use products such as x * x.", 2),
    "_softmax": _Advice("Move the dimension of the softmax to the last place.", 3),
}
_OTHER = _Advice("Replace it by operators that run inside, or compute it outside the network.", 4)

# Circular padding is decomposed into these.
_CIRCULAR = frozenset({"slice_scatter", "copy", "dim_order_ops::_empty_dim_order"})


def operators_outside(evidence: Evidence) -> Iterator[Site]:
    """Yield the operators that no delegate took."""
    for row in evidence.rows:
        if not row.is_portable:
            continue
        advice = _advice(row)
        remaining = evidence.rates.byte_ns.times(advice.passes * row.kernel.moved_bytes)
        yield Site(
            advice.kind,
            (row.place,),
            saving([row], remaining),
            f"The operator {row.operator} runs outside the delegate.",
            advice.remedy,
        )


def _advice(row: Row) -> _Advice:
    if row.operator == "native_layer_norm":  # of images or of sequences, which have no batch norm
        return _BATCH_NORM if len(row.kernel.output) == 4 else _LAYER_NORM
    return _ADVICE.get(row.operator, _OTHER)


def paddings(evidence: Evidence) -> Iterator[Site]:
    """Yield paddings that were decomposed into other operators: reflected, repeated, circular."""
    grown: tuple[int, ...] | None = None
    for row in evidence.rows:
        kernel = row.kernel
        if row.operator == "index" and _is_grown(kernel):
            yield _padding(row)
        elif row.operator == "dim_order_ops::_empty_dim_order" and len(kernel.output) == 4:
            grown = kernel.output
            yield _padding(row)
        elif grown is not None and row.operator in _CIRCULAR:
            yield _padding(row)
        elif grown is not None and kernel.kind == "static_slice":
            if kernel.inputs and _is_part(kernel.inputs[0], grown):
                yield _padding(row)
        elif kernel.kind in k.CONVOLUTIONS and grown is not None:
            channels_last = (grown[0], *grown[2:], grown[1])
            grown = None if kernel.inputs[0] == channels_last else grown


def _padding(row: Row) -> Site:
    return Site(
        FindingKind.VARIANT,
        (row.place,),
        saving([row], NOTHING),
        "A padding with other values than zeros runs outside the delegate.",
        _PAD.remedy,
    )


def _is_grown(kernel: Kernel) -> bool:
    """Return whether a kernel's output is its input, longer in one dimension after the second."""
    if not kernel.inputs or len(kernel.inputs[0]) != len(kernel.output) or len(kernel.output) < 3:
        return False
    pairs = list(zip(kernel.inputs[0], kernel.output, strict=True))
    changed = [before < after for before, after in pairs if before != after]
    return changed == [True] and all(before == after for before, after in pairs[:2])


def _is_part(shape: Sequence[int], whole: Sequence[int]) -> bool:
    return len(shape) == len(whole) and all(
        part <= size for part, size in zip(shape, whole, strict=True)
    )


def resized_inputs(evidence: Evidence) -> Iterator[Site]:
    """Yield resizings before anything else is computed: those of the network's input."""
    for place, row in enumerate(evidence.rows):
        kernel = row.kernel
        if kernel.kind in k.CONVOLUTIONS or kernel.kind == k.FULLY_CONNECTED:
            return
        is_resizing = kernel.kind == _RESIZING or row.operator.startswith("upsample_")
        if not is_resizing:
            continue
        before = evidence.rows[place - 1 : place] if place else ()
        found = [each for each in before if _leads_to(each, row)] + [row]
        # The transpose of the input remains, at the size that the network wants.
        remaining = evidence.rates.byte_ns.times(8.0 * math.prod(kernel.output))
        yield Site(
            FindingKind.EVERY_CALL,
            places(found),
            saving(found, remaining if len(found) > 1 else NOTHING),
            "The network resizes its input on every call.",
            "Give the network inputs of the size that it works on, such as from the camera or"
            " the decoder.",
        )


def _leads_to(row: Row, following: Row) -> bool:
    return is_to_nhwc(row.kernel) and row.kernel.output in following.kernel.inputs
