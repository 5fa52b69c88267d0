"""Published networks: their Architectures, and the results that their authors report."""

from __future__ import annotations

from dataclasses import dataclass

from search.space.architecture import Architecture, Block


def _block(
    op: str,
    layers: int,
    kernel_size: int,
    stride: int,
    out_channels: int,
    expansion: int = 1,
    se_ratio: float = 0.0,
    skip: str = "identity",
) -> Block:
    return Block(op, expansion, kernel_size, stride, se_ratio, skip, out_channels, layers)


# The layers are those of the authors' public TPU code, and the rows those of figure 7 in Tan et
# al. 2019. A block of one layer that strides or changes the width has no skip. MobileNetV2
# (Sandler et al. 2018, table 2) uses ReLU6. It is built with ReLU here, which costs the same. Its
# first bottleneck has expansion 1, which makes it a depthwise-separable layer.
ZOO: dict[str, Architecture] = {
    "mnasnet-a1": Architecture(
        32,
        (
            _block("dconv", 1, 3, 1, 16, skip="none"),
            _block("mbconv", 2, 3, 2, 24, expansion=6),
            _block("mbconv", 3, 5, 2, 40, expansion=3, se_ratio=0.25),
            _block("mbconv", 4, 3, 2, 80, expansion=6),
            _block("mbconv", 2, 3, 1, 112, expansion=6, se_ratio=0.25),
            _block("mbconv", 3, 5, 2, 160, expansion=6, se_ratio=0.25),
            _block("mbconv", 1, 3, 1, 320, expansion=6, skip="none"),
        ),
        1280,
    ),
    "mnasnet-b1": Architecture(
        32,
        (
            _block("dconv", 1, 3, 1, 16, skip="none"),
            _block("mbconv", 3, 3, 2, 24, expansion=3),
            _block("mbconv", 3, 5, 2, 40, expansion=3),
            _block("mbconv", 3, 5, 2, 80, expansion=6),
            _block("mbconv", 2, 3, 1, 96, expansion=6),
            _block("mbconv", 4, 5, 2, 192, expansion=6),
            _block("mbconv", 1, 3, 1, 320, expansion=6, skip="none"),
        ),
        1280,
    ),
    "mnasnet-small": Architecture(
        8,
        (
            _block("dconv", 1, 3, 1, 8),
            _block("mbconv", 1, 3, 2, 16, expansion=3, skip="none"),
            _block("mbconv", 2, 3, 2, 16, expansion=6),
            _block("mbconv", 4, 5, 2, 32, expansion=6, se_ratio=0.25),
            _block("mbconv", 3, 3, 1, 32, expansion=6, se_ratio=0.25),
            _block("mbconv", 3, 5, 2, 88, expansion=6, se_ratio=0.25),
            _block("mbconv", 1, 3, 1, 144, expansion=6, skip="none"),
        ),
        1280,
    ),
    "mobilenet-v2": Architecture(
        32,
        (
            _block("dconv", 1, 3, 1, 16, skip="none"),
            _block("mbconv", 2, 3, 2, 24, expansion=6),
            _block("mbconv", 3, 3, 2, 32, expansion=6),
            _block("mbconv", 4, 3, 2, 64, expansion=6),
            _block("mbconv", 3, 3, 1, 96, expansion=6),
            _block("mbconv", 3, 3, 2, 160, expansion=6),
            _block("mbconv", 1, 3, 1, 320, expansion=6, skip="none"),
        ),
        1280,
    ),
}
NAMES = {architecture: name for name, architecture in ZOO.items()}


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """The figures that a paper reports about a network; None where it reports none.

    Attributes:
        name: The network's name, as in `ZOO` where that has it.
        searched: The network was found by a search, not designed by hand.
        parameters_m: Parameters, in millions.
        multiply_adds_m: Multiply-adds, in millions.
        top1: Top-1 accuracy on ImageNet, from 0 to 1.
        top5: Top-5 accuracy on ImageNet, from 0 to 1.
        pixel1_ms: Latency on one big core of a Pixel 1, in ms.
    """

    name: str
    searched: bool
    parameters_m: float
    multiply_adds_m: float | None
    top1: float
    top5: float | None
    pixel1_ms: int


# From Tan et al. 2019, tables 1 and 2 and appendix. The layers of A2 and A3 are not public.
PUBLISHED: tuple[PublishedResult, ...] = (
    PublishedResult("mobilenet-v1", False, 4.2, 575, 0.706, 0.895, 113),
    PublishedResult("mobilenet-v2", False, 3.4, 300, 0.720, 0.910, 75),
    PublishedResult("nasnet-a", True, 5.3, 564, 0.740, None, 183),
    PublishedResult("mnasnet-a1", True, 3.9, 312, 0.752, 0.925, 78),
    PublishedResult("mnasnet-a2", True, 4.8, 340, 0.756, 0.927, 84),
    PublishedResult("mnasnet-a3", True, 5.2, 403, 0.767, 0.933, 103),
    PublishedResult("mnasnet-b1", True, 4.4, None, 0.745, None, 77),
)
