"""The operators that an Architecture consists of, with their shapes.

Only this module derives them. PyTorch modules (`network`), kernels (`kernels`) and counts
(`counts`) map over its description, so that they cannot disagree.

Shapes are (batch, height, width, channels).
"""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.kernel import Shape
from search.space.architecture import Architecture, Block, se_channels, takes_skip
from search.space.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with the batch-norm or bias, and the activation, that follow it.

    Its padding is half the kernel size, so that only the stride changes the image's size.

    Attributes:
        input: Shape of the input.
        out_channels: Number of output channels.
        kernel_size: Height and width of the filters, in pixels; odd.
        stride: Step between neighbouring outputs, in pixels.
        depthwise: Each output channel sees one input channel only.
        batch_norm: A batch-norm follows. Otherwise the convolution has a bias.
        relu: A ReLU follows.
    """

    input: Shape
    out_channels: int
    kernel_size: int = 1
    stride: int = 1
    depthwise: bool = False
    batch_norm: bool = True
    relu: bool = True

    @property
    def output(self) -> Shape:
        """Shape of the convolution's output."""
        batch, height, width, _ = self.input
        return (batch, -(-height // self.stride), -(-width // self.stride), self.out_channels)

    @property
    def groups(self) -> int:
        """The convolution's number of groups of channels that do not see each other."""
        return self.out_channels if self.depthwise else 1


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """Squeeze-and-excitation: scales each channel by a gate.

    The gate is the sigmoid of two convolutions over the channels' means.

    Attributes:
        input: Shape of the input, and of the output.
        reduce: The convolution from the channels' means to fewer channels, the bottleneck.
        expand: The convolution from the bottleneck to the gate.
    """

    input: Shape
    reduce: Convolution
    expand: Convolution

    @property
    def output(self) -> Shape:
        """Shape of the squeeze-and-excitation's output."""
        return self.input


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a block.

    Attributes:
        body: The operators, in the order in which they run.
        skip: What is added to the body's output: "none", "identity" for the layer's input, or
            "pool" for the average of the input over 3 × 3 pixels.
    """

    body: tuple[Convolution | SqueezeExcite, ...]
    skip: str

    @property
    def input(self) -> Shape:
        """Shape of the layer's input."""
        return self.body[0].input

    @property
    def output(self) -> Shape:
        """Shape of the layer's output."""
        return self.body[-1].output


@dataclass(frozen=True, slots=True)
class Network:
    """A whole network as operators with shapes.

    A global average pool and a linear layer with bias, the classifier, follow the head.

    Attributes:
        stem: The first convolution.
        blocks: The layers of each block.
        head: The last convolution.
        classes: Number of outputs of the classifier.
    """

    stem: Convolution
    blocks: tuple[tuple[Layer, ...], ...]
    head: Convolution
    classes: int


def describe(
    architecture: Architecture,
    deployment: Deployment,
    *,
    input_channels: int = 3,
    stem_stride: int = 2,
) -> Network:
    """Return the network that an architecture becomes in a deployment."""
    stem = stem_of(architecture.stem_channels, deployment, input_channels, stem_stride)
    shape = stem.output
    blocks: list[tuple[Layer, ...]] = []
    for block in architecture.blocks:
        blocks.append(_layers(block, shape))
        shape = blocks[-1][-1].output
    head = Convolution(shape, architecture.head_channels)
    return Network(stem, tuple(blocks), head, deployment.classes)


def stem_of(
    channels: int, deployment: Deployment, input_channels: int = 3, stride: int = 2
) -> Convolution:
    """Return the first convolution of a network with so many channels behind it."""
    image = (1, deployment.resolution, deployment.resolution, input_channels)
    return Convolution(image, channels, kernel_size=3, stride=stride)


def _layers(block: Block, shape: Shape) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for index in range(block.layers):
        layers.append(layer_of(block, shape, block.stride if index == 0 else 1))
        shape = layers[-1].output
    return tuple(layers)


def layer_of(block: Block, shape: Shape, stride: int) -> Layer:
    """Return a layer of a block whose input has this shape."""
    in_channels = shape[-1]
    body: list[Convolution | SqueezeExcite] = []

    def add(out_channels: int, kernel_size: int = 1, stride: int = 1, **options: bool) -> None:
        entering = body[-1].output if body else shape
        body.append(Convolution(entering, out_channels, kernel_size, stride, **options))

    expanded = in_channels * block.expansion
    if block.op == "conv":
        add(block.out_channels, block.kernel_size, stride)
    else:
        if block.op == "mbconv":
            add(expanded)
        add(expanded, block.kernel_size, stride, depthwise=True)
    if bottleneck := se_channels(block, in_channels):
        body.append(_squeeze_excite(body[-1].output, bottleneck))
    if block.op != "conv":
        add(block.out_channels, relu=False)
    skips = takes_skip(stride, in_channels, block.out_channels)
    return Layer(tuple(body), block.skip if skips else "none")


def _squeeze_excite(shape: Shape, bottleneck: int) -> SqueezeExcite:
    batch, _, _, channels = shape
    reduce = Convolution((batch, 1, 1, channels), bottleneck, batch_norm=False)
    expand = Convolution(reduce.output, channels, batch_norm=False, relu=False)
    return SqueezeExcite(shape, reduce, expand)
