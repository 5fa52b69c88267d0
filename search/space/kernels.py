"""The kernels that an Architecture becomes, without torch and without an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import TypeAlias

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.precision import Precision
from search.space.architecture import Architecture, Block
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.operators import Convolution, Layer, SqueezeExcite, layer_of, stem_of

# Kernels of a part of a network, and the shape of its output.
_Part: TypeAlias = tuple[tuple[Kernel, ...], Shape]

# Groups of layers recur: the networks of a space are made of a few thousand.
_REMEMBERED_GROUPS = 16_384
_REMEMBERED_KERNELS = 65_536


def kernels(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> tuple[Kernel, ...]:
    """Return a network's kernels in the order in which the backend runs them.

    They equal the kernels of the Program that `export_program` makes of
    `build_network(architecture, classes=deployment.classes)` for `deployment.input_shape` in
    `deployment.precision`. Equal kernels of different networks are one object, as long as
    it is remembered.
    """
    stem, shape = _stem(architecture.stem_channels, deployment)
    found = list(stem)
    group_of = _group_of(deployment.precision)
    for block in architecture.blocks:
        group, shape = group_of(block, shape)
        found += group
    found += _head(shape, architecture.head_channels, deployment)
    return tuple(found)


@lru_cache(maxsize=_REMEMBERED_GROUPS)
def _stem(channels: int, deployment: Deployment) -> _Part:
    """Return the kernels of the stem, and the shape of its output."""
    stem = stem_of(channels, deployment)
    found = _in_precision(
        [Kernel(k.TRANSPOSE, (deployment.input_shape,), stem.input), _convolution(stem)],
        deployment.precision,
    )
    if deployment.precision is Precision.INT8:
        found = (_shared(_convert(deployment.input_shape, "qint8")), *found)
    return found, stem.output


@cache
def _group_of(precision: Precision) -> Callable[[Block, Shape], _Part]:
    """Return a function that returns the part for a block and the shape of its input."""
    return lru_cache(maxsize=_REMEMBERED_GROUPS)(partial(_group, precision))


def _group(precision: Precision, block: Block, shape: Shape) -> _Part:
    single = replace(block, layers=1)
    found, shape = _layer_group(single, shape, block.stride, precision)
    if block.layers > 1:
        again, shape = _layer_group(single, shape, 1, precision)
        found += again * (block.layers - 1)
    return found, shape


@lru_cache(maxsize=_REMEMBERED_GROUPS)
def _layer_group(block: Block, shape: Shape, stride: int, precision: Precision) -> _Part:
    """Return the part for one layer of a block."""
    layer = layer_of(block, shape, stride)
    return _in_precision(list(_layer(layer)), precision), layer.output


@lru_cache(maxsize=_REMEMBERED_GROUPS)
def _head(shape: Shape, channels: int, deployment: Deployment) -> tuple[Kernel, ...]:
    """Return the kernels from the last convolution on, whose input has this shape."""
    head = Convolution(shape, channels)
    pooled = (1, 1, 1, channels)
    found = _in_precision(
        [
            _convolution(head),
            Kernel(k.GLOBAL_AVG_POOL2D, (head.output,), pooled),
            Kernel(k.TRANSPOSE, (pooled,), (1, channels, 1, 1)),
            Kernel(k.RESHAPE, ((1, channels, 1, 1),), (1, channels)),
            Kernel(k.FULLY_CONNECTED, ((1, channels),), (1, deployment.classes)),
        ],
        deployment.precision,
    )
    if deployment.precision is Precision.INT8:
        return (*found, _shared(_convert((1, deployment.classes), "float32")))
    return found


def _in_precision(part: Sequence[Kernel], precision: Precision) -> tuple[Kernel, ...]:
    """Return the kernels of a part of a network, given in float32, in a precision."""
    converted: Iterable[Kernel] = part
    if precision is Precision.INT8:
        converted = _quantized(part)
    elif precision is Precision.FP16:
        converted = (replace(kernel, dtype="float16") for kernel in part)
    return tuple(map(_shared, converted))


@lru_cache(maxsize=_REMEMBERED_KERNELS)
def _shared(kernel: Kernel) -> Kernel:
    """Return the one object for all equal kernels: hashing kernels takes long."""
    return kernel


def _quantized(part: Sequence[Kernel]) -> Iterator[Kernel]:
    """Yield the int8 kernels of a part of a network with these float32 kernels."""
    # XNNPACK averages in float32 only. What a skip pools is converted before all else.
    for kernel in part:
        if kernel.kind == k.AVG_POOL2D:
            yield _convert(kernel.inputs[0], "float32")
    for kernel in part:
        if kernel.kind == k.AVG_POOL2D:
            yield kernel
            yield _convert(kernel.output, "qint8")
        else:
            yield replace(kernel, dtype="qint8")


def _convert(shape: Shape, dtype: str) -> Kernel:
    return Kernel(k.CONVERT, (shape,), shape, dtype=dtype)


def _layer(layer: Layer) -> Iterator[Kernel]:
    for operator in layer.body:
        if isinstance(operator, Convolution):
            yield _convolution(operator)
        else:
            yield from _squeeze_excite(operator)
    if layer.skip == "pool":
        yield Kernel(k.AVG_POOL2D, (layer.input,), layer.input, kernel_size=(3, 3))
    if layer.skip != "none":
        yield Kernel(k.ADD, (layer.output, layer.input), layer.output)


def _squeeze_excite(operator: SqueezeExcite) -> Iterator[Kernel]:
    reduce, expand = operator.reduce, operator.expand
    yield Kernel(k.GLOBAL_AVG_POOL2D, (operator.input,), reduce.input)
    yield _convolution(reduce)
    yield _convolution(expand)
    yield Kernel(k.SIGMOID, (expand.output,), expand.output)
    yield Kernel(k.MULTIPLY, (operator.input, expand.output), operator.output)


def _convolution(operator: Convolution) -> Kernel:
    # XNNPACK runs a convolution of one input channel as a depthwise one.
    depthwise = operator.depthwise or operator.input[-1] == 1
    return Kernel(
        k.DEPTHWISE_CONV2D if depthwise else k.CONV2D,
        (operator.input,),
        operator.output,
        kernel_size=(operator.kernel_size, operator.kernel_size),
        stride=(operator.stride, operator.stride),
        groups=operator.groups,
        activation="relu" if operator.relu else "",
    )
