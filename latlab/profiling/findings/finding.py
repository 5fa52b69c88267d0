"""Findings: what makes a network slow, what that costs, and what its author can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latlab.profiling.profile import Span


class FindingKind(str, Enum):
    """A cause that makes a network slow. The value names it for people."""

    OUTSIDE = "operator outside the delegate"
    LAYOUT = "layout conversion"
    BROKEN = "graph broken into several delegate calls"
    VARIANT = "padding or pooling variant outside the delegate"
    ACTIVATION = "activation that is not fused"
    BATCH_NORM = "batch normalization that is not folded"
    CHANNELS = "channels that are no multiple of the vector width"
    GROUPS = "group count without a fast path"
    WEIGHTS = "weights larger than the cache"
    CONVOLUTION = "transposed or dilated convolution on a slow path"
    FLOAT_ISLAND = "dequantize-quantize pair in an int8 program"
    EVERY_CALL = "dynamic quantization or resizing on every call"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a network is slow.

    Attributes:
        kind: The kind of reason.
        cost: The time that its remedy is expected to save in one run, in ns, with an interval.
        rows: The places of the profile's rows that it is about, in ascending order. No other
            finding of the profile is about any of them. Empty where the time is in no kernel.
        what: What is slow and why, as one sentence.
        remedy: What to change in the network's own code, as one sentence.
    """

    kind: FindingKind
    cost: Span
    rows: tuple[int, ...]
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Processor:
    """The facts about a target's processor that findings need.

    Attributes:
        vector_floats: How many float32 values one vector register holds: 4 with NEON, 8 with
            AVX2 and 16 with AVX-512.
        cache_bytes: The size of the largest cache that a core can use. The default, 4 MiB, suits
            phones and boards. A larger cache only makes the finding about weights rarer, because
            that also needs a kernel that is slow for its work.
    """

    vector_floats: int = 4
    cache_bytes: int = 4 * 2**20

    @staticmethod
    def of_abi(abi: str) -> Processor:
        """Return what findings assume of an instruction set, as `uname -m` names it.

        An x86-64 may have AVX-512 or only AVX2. Numbers of channels that suit AVX-512 suit both.
        """
        return Processor(16 if abi in ("x86_64", "AMD64") else 4)

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError, in a sentence for a person."""
        if self.vector_floats < 1 or self.cache_bytes < 1:
            raise ValueError(
                "a processor's vector width and cache size must be positive:"
                f" {self.vector_floats} floats and {self.cache_bytes} bytes"
            )
