"""An Architecture drawn block by block."""

from __future__ import annotations

from html import escape

from search.report.drawing.words import describe, operation
from search.space.architecture import Architecture, Block

HEIGHT = 78
GAP = 8
LAYER_GAP = 2
MIN_BLOCK_WIDTH = 58
CHANNEL_WIDTH = 0.07
TOP, BOX = 13, 26
SKIP_LABELS = {"none": [], "identity": ["skip"], "pool": ["pool skip"]}
ENLARGED = 1.5  # where there is room


def draw(architecture: Architecture) -> str:
    """An <svg> element, from the image at the left to the classifier at the right. A box is a
    layer, as wide as it has channels; colour is the operation. An arc above is an identity
    skip, a dashed one a pool skip; a dot in the box is squeeze-and-excitation."""
    x = 0.0
    parts = []
    for block in architecture.blocks:
        drawn, width = _draw_block(block, x)
        parts.append(drawn)
        x += width + GAP
    width = x - GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="architecture" role="img" '
        f'aria-label="architecture {architecture.id}" viewBox="0 0 {width:.0f} {HEIGHT}" '
        f'style="max-width: {ENLARGED * width:.0f}px">{"".join(parts)}</svg>'
    )


def _draw_block(block: Block, x: float) -> tuple[str, float]:
    layer_width = 5 + CHANNEL_WIDTH * block.out_channels
    boxes_width = block.layers * (layer_width + LAYER_GAP) - LAYER_GAP
    color = f"var(--{block.op}{block.expansion if block.op == 'mbconv' else ''})"
    parts = [f"<title>{escape(describe(block))}</title>"]
    for layer in range(block.layers):
        left = x + layer * (layer_width + LAYER_GAP)
        parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{layer_width:.1f}" height="{BOX}" rx="2" '
            f'style="fill: {color}"/>'
        )
        if block.se_ratio:
            parts.append(
                f'<circle cx="{left + layer_width / 2:.1f}" cy="{TOP + BOX / 2}" r="2.4" '
                'style="fill: var(--paper)"/>'
            )
    if block.skip != "none":
        dash = ' stroke-dasharray="3 2"' if block.skip == "pool" else ""
        parts.append(
            f'<path d="M{x + 1:.1f} {TOP - 2} q{boxes_width / 2 - 1:.1f} -14 '
            f'{boxes_width - 2:.1f} 0"{dash} style="fill: none; stroke: {color}"/>'
        )
    lines = (
        f"{operation(block)} {block.kernel_size}×{block.kernel_size}",
        f"{block.layers} × {block.out_channels}",
        " ".join(["SE"] * bool(block.se_ratio) + SKIP_LABELS[block.skip]),
    )
    for number, line in enumerate(lines):
        weight = "" if number else ' class="operation"'
        parts.append(
            f'<text x="{x:.1f}" y="{TOP + BOX + 12 + 12 * number}"{weight}>{escape(line)}</text>'
        )
    return f"<g>{''.join(parts)}</g>", max(boxes_width, MIN_BLOCK_WIDTH)
