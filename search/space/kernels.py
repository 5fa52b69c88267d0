"""The kernels that an Architecture becomes, without torch and without an export."""

from __future__ import annotations

from collections.abc import Iterator

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.operators import Convolution, Layer, SqueezeExcite, describe


def kernels(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> tuple[Kernel, ...]:
    """Return a network's kernels in the order in which the backend runs them.

    They equal the kernels of the Program that `export_program` makes of
    `build_network(architecture, classes=deployment.classes)` for `deployment.input_shape`.
    """
    network = describe(architecture, deployment)
    layers = (layer for block in network.blocks for layer in block)
    channels = architecture.head_channels
    pooled = (1, 1, 1, channels)
    return (
        Kernel(k.TRANSPOSE, (deployment.input_shape,), network.stem.input),
        _convolution(network.stem),
        *(kernel for layer in layers for kernel in _layer(layer)),
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
