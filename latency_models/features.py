"""What a kernel costs, in physical terms: work, traffic, padding to tiles, cache spills."""

from __future__ import annotations

from math import ceil, log2, prod

from latency_models import kernel as k
from latency_models.kernel import Kernel, Shape

_WORKERS = frozenset({k.CONV2D, k.DEPTHWISE_CONV2D, k.FULLY_CONNECTED})
_ELEMENT_BYTES = 4

# XNNPACK computes output channels in tiles of 8 (NEON) to 32 (AVX-512).
_TILE_CHANNELS = (8, 16, 32)

# Where a working set outgrows a cache, each step costs more. Devices differ in where their
# steps are: two ladders, two octaves a rung, from the smallest L1 to the largest L2, and
# from the smallest L2 to beyond the L3, of which a fit uses the rungs that it needs.
_REUSED_RUNGS_BYTES = tuple(float(4**e * 1024) for e in range(2, 6))  # 16 KiB to 1 MiB
_TOTAL_RUNGS_BYTES = tuple(float(4**e * 1024) for e in range(4, 8))  # 256 KiB to 16 MiB


def multiply_adds(kernel: Kernel) -> int:
    """As papers count them: of convolutions and fully connected layers alone."""
    if kernel.kind not in _WORKERS:
        return 0
    depth = _channels(_source(kernel)) // max(1, kernel.groups)
    return _elements(kernel.output) * _elements(kernel.kernel_size) * depth


def cost_terms(kernel: Kernel) -> tuple[float, ...]:
    """Quantities that each cost time in proportion, at least 0 and in the same order for all
    kernels of one kind: the call itself (1), work, traffic, and both again in so far as they
    spill out of caches. Work is in multiply-adds, traffic in elements.
    """
    inputs = float(sum(map(_elements, kernel.inputs)))
    output = float(_elements(kernel.output))
    taps = _elements(kernel.kernel_size)
    if kernel.kind not in _WORKERS:
        traffic = inputs + output
        return (1.0, inputs, output, output * taps, *_spills(traffic, traffic, _TOTAL_RUNGS_BYTES))
    channels = _channels(kernel.output)
    pixels = output / channels
    work = float(multiply_adds(kernel))
    weights = work / pixels
    traffic = inputs + output + weights
    return (
        1.0,
        *(work * tile * ceil(channels / tile) / channels for tile in _TILE_CHANNELS),
        inputs,
        output,
        weights,
        pixels * taps,  # pointers to set up, one for each tap
        *_spills(work, _reused(kernel, weights), _REUSED_RUNGS_BYTES),
        *_spills(traffic, traffic, _TOTAL_RUNGS_BYTES),
    )


def coordinates(kernel: Kernel) -> tuple[float, ...]:
    """Where a kernel lies among those of its kind: binary logarithms of its shape, for a
    smooth model of what its cost terms leave unexplained.
    """
    source = _source(kernel)
    pixels = _elements(kernel.output[:-1])
    return (
        log2(_channels(source)),
        log2(_channels(kernel.output)),
        log2(pixels),
        log2(_elements(source[:-1]) / pixels),
        log2(_elements(kernel.kernel_size)),
    )


def _source(kernel: Kernel) -> Shape:
    return kernel.inputs[0] if kernel.inputs else ()


def _elements(shape: Shape) -> int:
    """At least 1: an empty tensor costs a call, and has a logarithm."""
    return max(1, prod(shape))


def _channels(shape: Shape) -> int:
    return _elements(shape[-1:])


def _reused(kernel: Kernel, weights: float) -> float:
    """Elements that stay in use all along: the rows under a depthwise window; the weights."""
    if kernel.kind == k.DEPTHWISE_CONV2D:
        return float(kernel.kernel_size[0] * _elements(_source(kernel)[-2:]))
    return weights


def _spills(cost: float, elements: float, rungs_bytes: tuple[float, ...]) -> list[float]:
    octaves = [log2(max(1.0, _ELEMENT_BYTES * elements) / rung) for rung in rungs_bytes]
    return [cost * min(1.0, max(0.0, above / 2)) for above in octaves]
