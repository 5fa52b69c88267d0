"""The kernels that an Architecture becomes, without torch and without an export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.precision import Precision
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.operators import Convolution, Layer, SqueezeExcite, describe


def kernels(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> tuple[Kernel, ...]:
    """Return a network's kernels in the order in which the backend runs them.

    They equal the kernels of the Program that `export_program` makes of
    `build_network(architecture, classes=deployment.classes)` for `deployment.input_shape` in
    `deployment.precision`.
    """
    parts = _parts(architecture, deployment)
    if deployment.precision is Precision.INT8:
        return (
            _convert(deployment.input_shape, "qint8"),
            *(kernel for part in parts for kernel in _quantized(list(part))),
            _convert((1, deployment.classes), "float32"),
        )
    in_float32 = tuple(kernel for part in parts for kernel in part)
    if deployment.precision is Precision.FP16:
        return tuple(replace(kernel, dtype="float16") for kernel in in_float32)
    return in_float32


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


def _parts(architecture: Architecture, deployment: Deployment) -> Iterator[Iterable[Kernel]]:
    """Yield the float32 kernels of the stem, of each layer and of the head."""
    network = describe(architecture, deployment)
    yield (
        Kernel(k.TRANSPOSE, (deployment.input_shape,), network.stem.input),
        _convolution(network.stem),
    )
    for block in network.blocks:
        yield from map(_layer, block)
    channels = architecture.head_channels
    pooled = (1, 1, 1, channels)
    yield (
        _convolution(network.head),
        Kernel(k.GLOBAL_AVG_POOL2D, (network.head.output,), pooled),
        Kernel(k.TRANSPOSE, (pooled,), (1, channels, 1, 1)),
        Kernel(k.RESHAPE, ((1, channels, 1, 1),), (1, channels)),
        Kernel(k.FULLY_CONNECTED, ((1, channels),), (1, network.classes)),
    )


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
