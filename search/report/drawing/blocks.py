"""Drawings of architectures, block by block."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from search.report.drawing.html import render
from search.report.drawing.words import describe, operation
from search.space.architecture import Architecture, Block

# Lengths in units of the drawing, which are pixels at its natural size.
HEIGHT = 78
GAP = 8
LAYER_GAP = 2
MIN_BLOCK_WIDTH = 58
CHANNEL_WIDTH = 0.07
TOP, LAYER_HEIGHT = 13, 26
ENLARGED = 1.5  # the drawing grows by at most this factor
SKIP_LABELS = {"none": [], "identity": ["skip"], "pool": ["pool skip"]}


@dataclass(frozen=True)
class DrawnBlock:
    """A block with its place in the drawing.

    Attributes:
        x: The block's left edge.
        layer_width: Width of each layer's box.
        lefts: The left edge of each layer's box.
        width: Width of all boxes together.
        lines: The texts below the boxes.
    """

    block: Block
    x: float
    layer_width: float
    lefts: tuple[float, ...]
    width: float
    lines: tuple[str, str, str]

    @classmethod
    def place(cls, block: Block, x: float) -> DrawnBlock:
        """Return a block with its place in the drawing, its left edge at `x`."""
        layer_width = 5 + CHANNEL_WIDTH * block.out_channels
        step = layer_width + LAYER_GAP
        return cls(
            block,
            x,
            layer_width,
            tuple(x + step * layer for layer in range(block.layers)),
            step * block.layers - LAYER_GAP,
            (
                f"{operation(block)} {block.kernel_size}×{block.kernel_size}",
                f"{block.layers} × {block.out_channels}",
                " ".join(["SE"] * bool(block.se_ratio) + SKIP_LABELS[block.skip]),
            ),
        )

    @property
    def color(self) -> str:
        """The palette's name for the colour of the block's operation."""
        return f"mbconv{self.block.expansion}" if self.block.op == "mbconv" else self.block.op

    @property
    def title(self) -> str:
        """The text of the block's tooltip."""
        return describe(self.block)

    @property
    def right(self) -> float:
        """The right edge of the drawn block, with room for the texts."""
        return self.x + max(self.width, MIN_BLOCK_WIDTH)


def draw(architecture: Architecture) -> Markup:
    """Return an <svg> element that shows the architecture from the image to the classifier.

    A box is a layer, as wide as it has channels, in the colour of its operation. An arc above
    the boxes is an identity skip, a dashed arc a pool skip. A dot is squeeze-and-excitation.
    """
    blocks: list[DrawnBlock] = []
    for block in architecture.blocks:
        blocks.append(DrawnBlock.place(block, blocks[-1].right + GAP if blocks else 0))
    width = blocks[-1].right if blocks else 0
    return render(
        "architecture.svg",
        id=architecture.id,
        blocks=blocks,
        width=width,
        max_width=ENLARGED * width,
        height=HEIGHT,
        top=TOP,
        layer_height=LAYER_HEIGHT,
    )
