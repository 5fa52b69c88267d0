"""The physical costs of a kernel: work, traffic, padding to tiles and cache spills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import ceil, log2, prod

import numpy as np
from numpy.typing import NDArray

from latency_models.rates import Rates
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape, elements

_REMEMBERED_KERNELS = 10_000  # about 15 MB

# XNNPACK computes output channels in tiles of 8 (NEON) to 32 (AVX-512).
_TILE_CHANNELS = (8, 16, 32)
# It computes several pixels at once. Fewer pixels than these take as long, for the weights
# have to be loaded all the same.
_TILE_PIXELS = 8

# Data that do not fit into a cache cost more. Devices differ in the sizes of their caches, so
# there are two ladders of sizes with rungs two octaves apart: from the smallest L1 to the
# largest L2, and from the smallest L2 to beyond the L3. A fit uses the rungs that it needs.
_REUSED_RUNGS_BYTES = tuple(float(4**e * 1024) for e in range(2, 6))  # 16 KiB to 1 MiB
_TOTAL_RUNGS_BYTES = tuple(float(4**e * 1024) for e in range(4, 8))  # 256 KiB to 16 MiB


def model_kind(kernel: Kernel) -> str:
    """Return the name of the model that predicts the kernel: one for each kind and precision.

    A product of many rows with one matrix is what a 1 × 1 convolution computes, so both share the
    convolution's model.
    """
    if kernel.kind == k.FULLY_CONNECTED and prod(kernel.output[:-1]) > 1:
        return kernel.typed_kind.replace(k.FULLY_CONNECTED, k.CONV2D)
    return kernel.typed_kind


def variant(kernel: Kernel) -> tuple[int, ...]:
    """Return what selects the code that computes a kernel of its kind: its window and groups.

    How long a window of another size, stride or dilation takes does not follow from the windows
    that were measured: often other code computes it.
    """
    groups = 1 if kernel.kind == k.DEPTHWISE_CONV2D else kernel.groups
    return (*kernel.kernel_size, *kernel.stride, kernel.dilation, groups)


def moved_bytes(kernels: Iterable[Kernel]) -> int:
    """Return the bytes that the kernels read and write, without weights."""
    return sum(kernel.moved_bytes for kernel in kernels)


# A fit asks for those of the same kernels again and again: once for each fold.
@lru_cache(maxsize=_REMEMBERED_KERNELS)
def cost_terms(kernel: Kernel) -> tuple[float, ...]:
    """Return the quantities that a kernel's time is proportional to.

    They are the call itself (1), work, traffic, and the parts of both that spill out of caches.
    Work is in multiply-adds or elements, traffic in bytes. All are at least 0, and their order
    is the same for all kernels of one kind.
    """
    if kernel.kind in k.MULTIPLYING_KINDS:
        return _work_terms(kernel)
    output = elements(kernel.output)
    taps = elements(kernel.kernel_size)
    inputs_bytes, output_bytes = float(kernel.inputs_bytes), float(kernel.output_bytes)
    traffic_bytes = inputs_bytes + output_bytes
    moves_channels = _source(kernel)[-1:] != kernel.output[-1:]
    return (
        1.0,
        inputs_bytes,
        output_bytes,
        float(output * taps),
        # Contiguous pieces of memory, each with the channels of one pixel.
        output / _channels(kernel.output) * taps * len(kernel.inputs),
        float(output * bool(kernel.activation)),  # a separate pass
        float(output * moves_channels),  # a transpose moves single elements
        *_spills(traffic_bytes, traffic_bytes, _TOTAL_RUNGS_BYTES),
    )


def _work_terms(kernel: Kernel) -> tuple[float, ...]:
    output = elements(kernel.output)
    taps = elements(kernel.kernel_size)
    pixels = kernel.positions
    work = float(kernel.multiply_adds)
    inputs_bytes, output_bytes = float(kernel.inputs_bytes), float(kernel.output_bytes)
    matrix_bytes = float(kernel.weights_bytes)
    loaded_bytes = inputs_bytes + matrix_bytes
    # A 1×1 convolution is a product of matrices. Others gather their input, and their tiles may
    # have another size.
    gathers = taps > 1 or kernel.stride != (1, 1)
    tiled = [work * share for share in _tiled_shares(kernel, pixels)]
    return (
        1.0,
        *(0.0 if gathers else padded for padded in tiled),
        *(padded if gathers else 0.0 for padded in tiled),
        inputs_bytes,
        output_bytes,
        matrix_bytes,
        float(pixels * taps),  # pointers that are set up, one for each tap
        float(output * taps * gathers),  # pointers that are followed, for each tile of channels
        *_spills(work, _reused_bytes(kernel, matrix_bytes), _REUSED_RUNGS_BYTES),
        *_spills(loaded_bytes, loaded_bytes, _TOTAL_RUNGS_BYTES),
        *_spills(output_bytes, output_bytes, _TOTAL_RUNGS_BYTES),
    )


def usual_coefficients(kernel: Kernel, rates: Rates) -> list[float]:
    """Return coefficients of `cost_terms` that give every kernel of a kind a device's usual times.

    Args:
        kernel: Any kernel of the kind.
        rates: The device's rates.

    Returns:
        (terms,) in ns for each unit of a term; 0 where a term adds to what others count.
    """
    terms = len(cost_terms(kernel))
    if kernel.kind in k.MULTIPLYING_KINDS:
        tiled = [rates.multiply_add_ns / len(_TILE_CHANNELS)] * (2 * len(_TILE_CHANNELS))
        usual = [rates.call_ns, *tiled, rates.byte_ns, rates.byte_ns, rates.byte_ns]
    else:
        byte_ns = rates.moved_byte_ns(kernel)
        usual = [rates.call_ns, byte_ns, byte_ns]
    return usual + [0.0] * (terms - len(usual))


@lru_cache(maxsize=_REMEMBERED_KERNELS)
def coordinates(kernel: Kernel) -> tuple[float, ...]:
    """Return a kernel's coordinates among those of its kind: binary logarithms of its shape.

    A smooth model over them learns what the cost terms leave unexplained.
    """
    source = _source(kernel)
    pixels = elements(kernel.output[:-1])
    return (
        log2(max(1, _channels(source) // _groups(kernel))),
        log2(_channels(kernel.output)),
        log2(pixels),
        log2(elements(source[:-1]) / pixels),
        log2(elements(kernel.kernel_size)),
    )


def points(kernels: Sequence[Kernel]) -> NDArray[np.float64]:
    """Return (kernels, 5): the coordinates of each kernel, logarithms of its shape."""
    return np.array([coordinates(kernel) for kernel in kernels])


def _source(kernel: Kernel) -> Shape:
    return kernel.inputs[0] if kernel.inputs else ()


def _channels(shape: Shape) -> int:
    return elements(shape[-1:])


def _groups(kernel: Kernel) -> int:
    """Return the number of groups that are computed one by one; a depthwise kernel is one."""
    return 1 if kernel.kind == k.DEPTHWISE_CONV2D else max(1, kernel.groups)


def _tiled_shares(kernel: Kernel, pixels: int) -> list[float]:
    """Return the work with padding to tiles over the work without, for each size of tile.

    For up to 16 channels there are narrow tiles.
    """
    channels = max(1, _channels(kernel.output) // _groups(kernel))
    rows = max(1.0, _TILE_PIXELS / pixels)
    tiles = (min(tile, 16) if channels <= 16 else tile for tile in _TILE_CHANNELS)
    return [rows * tile * ceil(channels / tile) / channels for tile in tiles]


def _reused_bytes(kernel: Kernel, matrix_bytes: float) -> float:
    """Return the bytes in constant use: the rows under a depthwise window, or the weights."""
    if kernel.kind == k.DEPTHWISE_CONV2D:
        rows = kernel.kernel_size[0] * elements(_source(kernel)[-2:])
        return float(rows * kernel.element_bytes)
    return matrix_bytes


def _spills(cost: float, size_bytes: float, rungs_bytes: tuple[float, ...]) -> list[float]:
    """Return the part of a cost that misses a cache of each size.

    The part grows gradually with the size. A sharp step would let a coefficient that was fitted
    on small spills explode for large ones.
    """
    return [cost * size_bytes / (size_bytes + rung) for rung in rungs_bytes]
