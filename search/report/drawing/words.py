"""Blocks, latencies and numbers as texts for people."""

from __future__ import annotations

from latlab.domain.estimate import LatencyEstimate, milliseconds_text
from search.space.architecture import Architecture, Block

SKIPS = {"identity": "identity skip", "pool": "pool skip", "none": "no skip"}


def operation(block: Block) -> str:
    """Return the block's operation: "conv", "dconv", "mb3" or "mb6"."""
    return f"mb{block.expansion}" if block.op == "mbconv" else block.op


def short_block(block: Block) -> str:
    """Return operation, kernel size, channels x layers, SE and skip, as in "mb6 k3 c24x2 se id"."""
    parts = [operation(block), f"k{block.kernel_size}", f"c{block.out_channels}x{block.layers}"]
    if block.se_ratio:
        parts.append("se")
    if block.skip != "none":
        parts.append({"identity": "id"}.get(block.skip, block.skip))
    return " ".join(parts)


def short(architecture: Architecture) -> str:
    """Return the architecture's blocks in short, from the image to the classifier."""
    return ", ".join(map(short_block, architecture.blocks))


def describe(block: Block) -> str:
    """Return a full description of the block for a tooltip."""
    plural = "" if block.layers == 1 else "s"
    se = f"squeeze-and-excitation {block.se_ratio:g}" if block.se_ratio else "no SE"
    expansion = f", expansion {block.expansion}" if block.op == "mbconv" else ""
    return (
        f"{block.op}{expansion}, kernel {block.kernel_size}×{block.kernel_size}, "
        f"{block.layers} layer{plural} of {block.out_channels} channels, stride {block.stride}, "
        f"{se}, {SKIPS.get(block.skip, block.skip)}"
    )


def bounds(estimate: LatencyEstimate) -> str:
    """Return the estimate's 90 % interval in milliseconds, as in "7.41–7.66"."""
    return f"{milliseconds_text(estimate.lower_ns)}–{milliseconds_text(estimate.upper_ns)}"


def interval(estimate: LatencyEstimate) -> str:
    """Return the latency and its 90 % interval in milliseconds, as in "7.52 [7.41–7.66]"."""
    return f"{milliseconds_text(estimate.latency_ns)} [{bounds(estimate)}]"


def raw_lines(estimate: LatencyEstimate) -> str:
    """Return the quantiles of a measurement's runs and its clean visits, in short lines.

    Each line begins with a line break. There are none if the quantiles are not known.
    """
    if (raw := estimate.raw) is None:
        return ""
    median, p90, p99 = map(milliseconds_text, (raw.median_ns, raw.p90_ns, raw.p99_ns))
    return f"\nmedian {median}\np90 {p90}, p99 {p99}\n{raw.visits_text} visits clean"


def seconds(value_s: float) -> str:
    """Return a duration as in "45 s", "12.5 min" or "3.2 h"."""
    if value_s < 120:
        return f"{value_s:.0f} s"
    return f"{value_s / 60:.1f} min" if value_s < 7200 else f"{value_s / 3600:.1f} h"


def percent(fraction: float) -> str:
    """Return a fraction of 1 in percent, as in "92.3%"."""
    return f"{fraction:.1%}"


def share(part: int, whole: int) -> str:
    """Return the part as a share of the whole, as in "28%"; "" if there is no whole."""
    return f"{part / whole:.0%}" if whole else ""


def millions(count: int, digits: int) -> str:
    """Return the count in millions, without the unit."""
    return f"{count / 1e6:.{digits}f}"


def number(value: float | None) -> str:
    """Return a number as text with three decimals, and None as a dash."""
    return "–" if value is None else f"{value:.3f}"
