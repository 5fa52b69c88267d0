"""Blocks and latencies in words."""

from __future__ import annotations

from latlab.domain.estimate import LatencyEstimate
from search.space.architecture import Architecture, Block

SKIPS = {"identity": "identity skip", "pool": "pool skip", "none": "no skip"}


def operation(block: Block) -> str:
    """ "conv", "dconv", "mb3" or "mb6"."""
    return f"mb{block.expansion}" if block.op == "mbconv" else block.op


def short_block(block: Block) -> str:
    """Like "mb6 k3 c24x2 se id": operation, kernel, channels x layers, SE, skip."""
    parts = [operation(block), f"k{block.kernel_size}", f"c{block.out_channels}x{block.layers}"]
    if block.se_ratio:
        parts.append("se")
    if block.skip != "none":
        parts.append({"identity": "id"}.get(block.skip, block.skip))
    return " ".join(parts)


def short(architecture: Architecture) -> str:
    """Its blocks, from the image to the head."""
    return ", ".join(map(short_block, architecture.blocks))


def describe(block: Block) -> str:
    """The block in full, for a tooltip."""
    plural = "" if block.layers == 1 else "s"
    se = f"squeeze-and-excitation {block.se_ratio:g}" if block.se_ratio else "no SE"
    expansion = f", expansion {block.expansion}" if block.op == "mbconv" else ""
    return (
        f"{block.op}{expansion}, kernel {block.kernel_size}×{block.kernel_size}, "
        f"{block.layers} layer{plural} of {block.out_channels} channels, stride {block.stride}, "
        f"{se}, {SKIPS.get(block.skip, block.skip)}"
    )


def milliseconds(latency_ns: float) -> str:
    """With three significant digits, without the unit."""
    value = latency_ns / 1e6
    return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f}"


def interval(estimate: LatencyEstimate) -> str:
    """Like "7.52 [7.41, 7.66]", in milliseconds."""
    bounds = f"[{milliseconds(estimate.lower_ns)}, {milliseconds(estimate.upper_ns)}]"
    return f"{milliseconds(estimate.latency_ns)} {bounds}"


def seconds(value_s: float) -> str:
    """Like "45 s", "12.5 min" or "3.2 h"."""
    if value_s < 120:
        return f"{value_s:.0f} s"
    return f"{value_s / 60:.1f} min" if value_s < 7200 else f"{value_s / 3600:.1f} h"
