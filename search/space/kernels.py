"""The kernels an Architecture becomes, without torch and without exporting it."""

from __future__ import annotations

from dataclasses import dataclass, field

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT, Deployment
from search.space.layers import Layer, layers_by_block


def kernels(
    architecture: Architecture,
    *,
    resolution: int | None = None,
    classes: int | None = None,
    deployment: Deployment = DEFAULT,
) -> tuple[Kernel, ...]:
    """In the order the backend runs them: equal to the kernels of the Program that
    `export_program` makes of `build_network(architecture, classes=classes)` for an input
    of (1, 3, resolution, resolution)."""
    resolution = resolution or deployment.resolution
    classes = classes or deployment.classes
    run = _Run((1, 3, resolution, resolution))
    run.transpose((1, resolution, resolution, 3))
    run.convolution(architecture.stem_channels, kernel_size=3, stride=2, activation="relu")
    for layers in layers_by_block(architecture):
        for layer in layers:
            _layer(run, layer)
    run.convolution(architecture.head_channels, activation="relu")
    run.global_average_pool()
    run.transpose((1, architecture.head_channels, 1, 1))
    run.append(k.RESHAPE, (1, architecture.head_channels))
    run.append(k.FULLY_CONNECTED, (1, classes))
    return tuple(run.kernels)


@dataclass
class _Run:
    """A walk along the network: the shape it has reached and the kernels behind it."""

    shape: Shape
    kernels: list[Kernel] = field(default_factory=list)

    def append(self, kind: str, output: Shape, other: Shape | None = None) -> None:
        """`other` is a second input."""
        inputs = (self.shape,) if other is None else (self.shape, other)
        self.kernels.append(Kernel(kind, inputs, output))
        self.shape = output

    def transpose(self, output: Shape) -> None:
        self.append(k.TRANSPOSE, output)

    def convolution(
        self,
        channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        activation: str = "",
    ) -> None:
        batch, height, width, _ = self.shape
        output = (batch, -(-height // stride), -(-width // stride), channels)
        depthwise_kernel = depthwise or self.shape[-1] == 1  # to XNNPACK one channel is both
        self.kernels.append(
            Kernel(
                k.DEPTHWISE_CONV2D if depthwise_kernel else k.CONV2D,
                (self.shape,),
                output,
                kernel_size=(kernel_size, kernel_size),
                stride=(stride, stride),
                groups=channels if depthwise else 1,
                activation=activation,
            )
        )
        self.shape = output

    def global_average_pool(self) -> None:
        self.append(k.GLOBAL_AVG_POOL2D, (self.shape[0], 1, 1, self.shape[-1]))


def _layer(run: _Run, layer: Layer) -> None:
    before = run.shape
    expanded = layer.expanded_channels
    if layer.op == "conv":
        run.convolution(expanded, layer.kernel_size, layer.stride, activation="relu")
    else:
        if layer.op == "mbconv":
            run.convolution(expanded, activation="relu")
        run.convolution(
            expanded, layer.kernel_size, layer.stride, depthwise=True, activation="relu"
        )
    if layer.se_channels:
        _squeeze_excite(run, layer.se_channels)
    if layer.op != "conv":
        run.convolution(layer.out_channels)
    if layer.skip == "pool":
        run.kernels.append(Kernel(k.AVG_POOL2D, (before,), before, kernel_size=(3, 3)))
    if layer.skip != "none":
        run.append(k.ADD, run.shape, before)


def _squeeze_excite(run: _Run, bottleneck: int) -> None:
    scaled = run.shape
    run.global_average_pool()
    run.convolution(bottleneck, activation="relu")
    run.convolution(scaled[-1])
    run.append(k.SIGMOID, run.shape)
    gate, run.shape = run.shape, scaled
    run.append(k.MULTIPLY, scaled, gate)
