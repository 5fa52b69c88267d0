"""Convolutions and linear layers that take longer than their work needs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.profiling.findings.evidence import Evidence, Row, Site, saved_share, saving
from latlab.profiling.findings.finding import FindingKind
from latlab.profiling.findings.rates import Amount
from latlab.profiling.findings.work import computed_channels, layer_weights

# A depthwise convolution takes so much longer for each multiply-add than an ordinary one.
_DEPTHWISE_FACTOR = (1.5, 3.0, 5.0)
# Below it, a kernel is not noticeably slower than its work needs.
_SLOWER = 1.4
_FEW_POSITIONS = 8  # so few uses of each weight do not pay for reading it from memory
# The share of a layer's time that int8 saves: its bounds, and between them what is likely. It reads
# a quarter of the bytes.
_INT8_SAVES = (0.35, 0.6, 0.75)
_LEAST_WASTE = 0.2


def narrow_groups(evidence: Evidence) -> Iterator[Site]:
    """Yield convolutions of groups that are narrower than a vector, but not depthwise."""
    for row in evidence.rows:
        kernel = row.kernel
        if kernel.kind not in (k.CONV2D, k.DEPTHWISE_CONV2D) or kernel.groups < 2:
            continue
        channels, width = kernel.output[-1], kernel.output[-1] // kernel.groups
        if width == 1 or width >= evidence.processor.vector_floats:
            continue
        remaining = _separable(kernel, evidence)
        if remaining is None or row.row.time_ns < _SLOWER * remaining.middle:
            continue
        yield Site(
            FindingKind.GROUPS,
            (row.place,),
            saving([row], remaining),
            f"Groups of {width} output channels fill only a part of each vector register.",
            f"Use groups={channels} on {channels} channels, which is depthwise, beside an"
            f" nn.Conv2d of kernel_size=1, or groups of {evidence.processor.vector_floats} or"
            " more channels.",
        )


def _separable(kernel: Kernel, evidence: Evidence) -> Amount | None:
    """Return what a depthwise convolution of all output channels and one of 1 x 1 would take."""
    rate = evidence.rates.multiply_add_ns
    depthwise = evidence.rates.depthwise_ns
    if depthwise is None and rate is not None:
        factors = zip((rate.low, rate.middle, rate.high), _DEPTHWISE_FACTOR, strict=True)
        depthwise = Amount(*(each * factor for each, factor in factors))
    if rate is None or depthwise is None:
        return None
    positions, channels = kernel.positions, kernel.output[-1]
    pointwise = rate.times(positions * kernel.inputs[0][-1] * channels)
    return pointwise + depthwise.times(positions * channels * math.prod(kernel.kernel_size))


def spread_convolutions(evidence: Evidence) -> Iterator[Site]:
    """Yield transposed and dilated convolutions that are slower than ordinary ones."""
    for row in evidence.rows:
        kernel = row.kernel
        if kernel.kind == k.CONV_TRANSPOSE2D and max(kernel.stride) > 1:
            remaining = _resized(kernel, evidence)
            what = "A transposed convolution is computed more slowly than a convolution."
            remedy = (
                "Use an nn.Conv2d at the low resolution, and then"
                ' nn.Upsample(mode="bilinear"), instead of nn.ConvTranspose2d.'
            )
        elif kernel.kind in k.CONVOLUTIONS and kernel.dilation > 1:
            remaining = _undilated(kernel, evidence)
            what = f"A convolution with dilation={kernel.dilation} is slower than one without."
            remedy = "Use dilation=1 with a larger stride before it, or two convolutions in a row."
        else:
            continue
        if remaining is not None and row.row.time_ns >= _SLOWER * remaining.middle:
            cost = saving([row], remaining)
            yield Site(FindingKind.CONVOLUTION, (row.place,), cost, what, remedy)


def _resized(kernel: Kernel, evidence: Evidence) -> Amount | None:
    """Return what a convolution of a transposed one's input, then resized, would take."""
    rate = evidence.rates.multiply_add_ns
    if rate is None:
        return None
    # Each output sees so many inputs in a direction; a convolution of an odd size sees no fewer.
    seen = (-(-size // step) // 2 * 2 + 1 for size, step in _windows(kernel))
    channels = computed_channels(kernel, evidence.processor.vector_floats)
    inputs = max(1, kernel.inputs[0][-1] // kernel.groups)
    convolution = rate.times(kernel.positions * math.prod(seen) * inputs * channels)
    # XNNPACK's resizing takes about four times as long as a pass over its bytes.
    return convolution + evidence.rates.byte_ns.times(4 * kernel.moved_bytes)


def _windows(kernel: Kernel) -> Iterator[tuple[int, int]]:
    """Yield the kernel size and the stride, height first, of a convolution that resizes."""
    for size, step in zip(kernel.kernel_size, kernel.stride, strict=True):
        # As large as the stride, each output sees one input.
        yield (1, 2) if size <= step else (size, step)


def _undilated(kernel: Kernel, evidence: Evidence) -> Amount | None:
    is_depthwise = kernel.kind == k.DEPTHWISE_CONV2D
    rates = evidence.rates
    rate = rates.depthwise_ns if is_depthwise else rates.multiply_add_ns
    return None if rate is None else rate.times(kernel.multiply_adds)


def uncached_weights(evidence: Evidence) -> Iterator[Site]:
    """Yield layers that read more weights than the cache holds, and use each only a few times."""
    limit_bytes = evidence.processor.cache_bytes
    all_bytes = sum(_weight_bytes(row) for row in evidence.rows)
    rate = evidence.rates.multiply_add_ns
    for row in evidence.rows:
        kernel = row.kernel
        if all_bytes <= limit_bytes or 4 * _weight_bytes(row) < limit_bytes:
            continue
        if kernel.dtype != "float32" or kernel.positions > _FEW_POSITIONS:
            continue
        if rate is not None and row.row.time_ns < 2 * rate.middle * kernel.multiply_adds:
            continue
        yield Site(
            FindingKind.WEIGHTS,
            (row.place,),
            saved_share([row], *_INT8_SAVES),
            "The network's weights do not fit into the cache, and these are read from memory for"
            " every run.",
            "Use the precision int8, which reads a quarter, or a smaller layer: pool before"
            " nn.Linear, or split it into two of a low rank.",
        )


def _weight_bytes(row: Row) -> int:
    return layer_weights(row.kernel) * row.kernel.element_bytes


def partial_vectors(evidence: Evidence) -> Iterator[Site]:
    """Yield layers whose last channels fill only a small part of a vector.

    The last layer of a network is none of them: its channels are what the network is for.
    """
    vector = evidence.processor.vector_floats
    layers = [row for row in evidence.rows if layer_weights(row.kernel)]
    for row in layers[:-1]:
        kernel = row.kernel
        if kernel.dtype != "float32" or kernel.output[-1] % vector == 0:
            continue
        if kernel.kind == k.CONV2D and kernel.groups > 1:
            continue
        channels, computed = kernel.output[-1], computed_channels(kernel, vector)
        smaller = channels // vector * vector
        waste = 1 - channels / computed
        if smaller == 0 or waste < _LEAST_WASTE or channels - smaller > vector / 2:
            continue
        most = 1 - computed_channels(kernel, vector, smaller) / computed
        yield Site(
            FindingKind.CHANNELS,
            (row.place,),
            saved_share([row], waste / 2, waste, max(waste, most)),
            f"{channels} output channels leave a part of the vector registers empty.",
            f"Use {smaller} output channels, or {computed}, which take as long here.",
        )
