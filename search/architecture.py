"""The Architecture: one network of a space, identified by what its choices resolve to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

OPS = ("conv", "dconv", "mbconv")
SKIPS = ("pool", "identity", "none")
# Far beyond any network that a phone runs; they bound what a file may ask for.
MAX_BLOCKS = 64
MAX_LAYERS = 64
MAX_CHANNELS = 8192
MAX_EXPANSION = 16
MAX_KERNEL_SIZE = 11


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


def checked_architecture(document: object) -> Architecture:
    """Build the network that a document from outside describes, field by field.

    A skip that no layer of its block can have becomes "none", so that every spelling of a
    network is one Architecture.

    Raises ValueError, naming the field, for anything that is no network of these blocks.
    """
    fields = _fields(document, Architecture, "the architecture")
    stem_channels = _integer(fields["stem_channels"], "stem_channels", 1, MAX_CHANNELS)
    head_channels = _integer(fields["head_channels"], "head_channels", 1, MAX_CHANNELS)
    described = fields["blocks"]
    if not isinstance(described, list) or not 1 <= len(described) <= MAX_BLOCKS:
        raise ValueError(f"blocks: a list of 1 to {MAX_BLOCKS} blocks, not {_shown(described)}")
    blocks: list[Block] = []
    in_channels = stem_channels
    for index, block in enumerate(described):
        blocks.append(_block(block, f"blocks[{index}]", in_channels))
        in_channels = blocks[-1].out_channels
    return Architecture(stem_channels, tuple(blocks), head_channels)


def takes_skip(stride: int, in_channels: int, out_channels: int) -> bool:
    """Whether a layer's input can be added to its output."""
    return stride == 1 and in_channels == out_channels


def can_skip(block: Block, in_channels: int) -> bool:
    """Whether any layer can have a skip: each one but the first keeps its shape."""
    return block.layers > 1 or takes_skip(block.stride, in_channels, block.out_channels)


def _block(value: object, name: str, in_channels: int) -> Block:
    fields = _fields(value, Block, name)
    op = _choice(fields["op"], f"{name}.op", OPS)
    kernel_size = _integer(fields["kernel_size"], f"{name}.kernel_size", 1, MAX_KERNEL_SIZE)
    if kernel_size % 2 == 0:
        raise ValueError(f"{name}.kernel_size: an odd number, not {kernel_size}")
    expansion = _integer(fields["expansion"], f"{name}.expansion", 1, MAX_EXPANSION)
    if expansion > 1 and op != "mbconv":
        raise ValueError(f"{name}.expansion: 1 where op is {op!r}, not {expansion}")
    block = Block(
        op=op,
        expansion=expansion,
        kernel_size=kernel_size,
        stride=_integer(fields["stride"], f"{name}.stride", 1, 2),
        se_ratio=_share(fields["se_ratio"], f"{name}.se_ratio"),
        skip=_choice(fields["skip"], f"{name}.skip", SKIPS),
        out_channels=_integer(fields["out_channels"], f"{name}.out_channels", 1, MAX_CHANNELS),
        layers=_integer(fields["layers"], f"{name}.layers", 1, MAX_LAYERS),
    )
    return block if can_skip(block, in_channels) else replace(block, skip="none")


def _fields(value: object, kind: type, name: str) -> dict[str, Any]:
    """The values of exactly the fields of `kind`, a dataclass."""
    known = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(value, dict):
        raise ValueError(f"{name}: an object with {', '.join(known)}, not {_shown(value)}")
    for missing in (field for field in known if field not in value):
        raise ValueError(f"{name}: {missing} is missing")
    for unknown in (field for field in value if field not in known):
        raise ValueError(f"{name}: {_shown(unknown)} is none of {', '.join(known)}")
    return value


def _integer(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: a whole number from {low} to {high}, not {_shown(value)}")
    return value


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name}: a number from 0 to 1, not {_shown(value)}")
    return float(value)


def _choice(value: object, name: str, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: {_shown(value)} is none of {', '.join(choices)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
