"""The Architecture: one network of a space, identified by what its choices resolve to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Block:
    """A group of `layers` identical layers; only the first one strides and changes width.

    op: "conv", "dconv" (depthwise-separable) or "mbconv"; `expansion` is 1 but for mbconv.
    se_ratio: of the layer's input channels; 0 for none.
    skip: the effective one, "none", "identity" or "pool": "none" where no layer of the
    block could have it, so that two spellings of one network are one Block.
    """

    op: str
    expansion: int
    kernel_size: int
    stride: int
    se_ratio: float
    skip: str
    out_channels: int
    layers: int


@dataclass(frozen=True)
class Architecture:
    """Resolution and classes are no part of it: they belong to where it is used."""

    stem_channels: int
    blocks: tuple[Block, ...]
    head_channels: int

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits, equal for equal networks on every machine."""
        canonical = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __hash__(self) -> int:
        """Of the id, which is kept: searches look their trials up again and again."""
        return hash(self.id)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Architecture:
        """Raises KeyError or TypeError where `value` did not come from `to_dict`."""
        blocks = tuple(Block(**block) for block in value["blocks"])
        return cls(value["stem_channels"], blocks, value["head_channels"])
