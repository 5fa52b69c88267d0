"""The Architecture: one network of a space, identified by what its choices resolve to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from latlab.domain.errors import InvalidRequest

OPERATIONS = ("conv", "dconv", "mbconv")
SKIPS = ("none", "identity", "pool")
STRIDES = (1, 2)
# Far beyond any network for a phone, so that no description fills the memory.
MAX_BLOCKS = 64
MAX_LAYERS = 64  # of one block
MAX_CHANNELS = 8192
MAX_STRIDING = 7  # blocks: 224 pixels are a single one then, over which nothing strides
MAX_EXPANSION = 16
MAX_KERNEL_SIZE = 31


class ArchitectureError(InvalidRequest):
    """A description of a network that names a field and says what it must be."""


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
    def from_dict(cls, value: object) -> Architecture:
        """The architecture that `value` describes as `to_dict` does, and maybe with its `id`.

        Everything that comes from outside this process is read here: `value` may be any JSON.

        Raises:
            ArchitectureError: A field is missing, unknown, of another type or out of its range,
                or two fields contradict each other. The message begins with the field.
        """
        described = _fields(value, "", _FIELDS, optional={"id"})
        listed = described["blocks"]
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise ArchitectureError(f"blocks: {_shown(listed)} is no list of blocks")
        if not 1 <= len(listed) <= MAX_BLOCKS:
            raise ArchitectureError(f"blocks: a network has 1 to {MAX_BLOCKS}, not {len(listed)}")
        stem_channels = in_channels = _channels(described, "stem_channels")
        blocks: list[Block] = []
        for index, block in enumerate(listed):
            blocks.append(_block(block, f"blocks[{index}]", in_channels))
            in_channels = blocks[-1].out_channels
            if sum(each.stride > 1 for each in blocks) > MAX_STRIDING:
                raise ArchitectureError(
                    f"blocks[{index}].stride: at most {MAX_STRIDING} blocks can stride by 2"
                )
        head_channels = _channels(described, "head_channels")
        architecture = cls(stem_channels, tuple(blocks), head_channels)
        if "id" in described and described["id"] != architecture.id:
            raise ArchitectureError(
                f"id: {_shown(described['id'])} is not this network's, which is "
                f"{architecture.id}: correct it or leave it out"
            )
        return architecture


_FIELDS = frozenset(field.name for field in fields(Architecture))
_BLOCK_FIELDS = frozenset(field.name for field in fields(Block))


def takes_skip(stride: int, in_channels: int, out_channels: int) -> bool:
    """Whether a layer's input can be added to its output."""
    return stride == 1 and in_channels == out_channels


def can_skip(block: Block, in_channels: int) -> bool:
    """Whether a layer of the block could have a skip: each but the first keeps the shape; the
    first one may."""
    return block.layers > 1 or takes_skip(block.stride, in_channels, block.out_channels)


def se_channels(block: Block, in_channels: int) -> int:
    """Return the width of the squeeze-and-excitation bottleneck of a layer that so many channels
    enter, 0 where it has none."""
    return max(1, int(in_channels * block.se_ratio)) if block.se_ratio else 0


def _block(value: object, where: str, in_channels: int) -> Block:
    described = _fields(value, where, _BLOCK_FIELDS)
    where = f"{where}."
    op = _choice(described, "op", where, OPERATIONS)
    expansion = _integer(described, "expansion", where, MAX_EXPANSION)
    if op != "mbconv" and expansion != 1:
        raise ArchitectureError(f"{where}expansion: that of a {op} is 1, not {expansion}")
    kernel_size = _integer(described, "kernel_size", where, MAX_KERNEL_SIZE)
    if kernel_size % 2 == 0:
        raise ArchitectureError(f"{where}kernel_size: {kernel_size} is not odd")
    block = Block(
        op=op,
        expansion=expansion,
        kernel_size=kernel_size,
        stride=_choice(described, "stride", where, STRIDES),
        se_ratio=_share(described, "se_ratio", where),
        skip=_choice(described, "skip", where, SKIPS),
        out_channels=_channels(described, "out_channels", where),
        layers=_integer(described, "layers", where, MAX_LAYERS),
    )
    if block.skip != "none" and not can_skip(block, in_channels):
        raise ArchitectureError(
            f'{where}skip: "{block.skip}" where none can be, for the one layer strides or changes '
            f'the {in_channels} channels that enter it: write "none"'
        )
    return block


def _fields(
    value: object, where: str, names: Set[str], optional: Set[str] = frozenset()
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        what = where or "a network"
        raise ArchitectureError(f"{what} is an object with {_listed(names)}, not {_shown(value)}")
    if value.keys() == names:
        return value
    prefix = f"{where}." if where else ""
    for name in sorted(names - value.keys()):
        raise ArchitectureError(f"{prefix}{name} is missing")
    for name in sorted(map(str, value.keys() - names - optional)):
        raise ArchitectureError(
            f"{prefix}{name[:80]!r} is an unknown field: there are {_listed(names)}"
        )
    return value


def _choice(described: Mapping[str, Any], name: str, where: str, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    value = described[name]
    # By type too, for 1 == True == 1.0, which are three networks by their ids.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        among = ", ".join(map(str, choices))
        raise ArchitectureError(f"{where}{name}: {_shown(value)} is none of {among}")
    return value


def _channels(described: Mapping[str, Any], name: str, where: str = "") -> int:
    return _integer(described, name, where, MAX_CHANNELS)


def _integer(described: Mapping[str, Any], name: str, where: str, most: int) -> int:
    value = described[name]
    if type(value) is not int or not 1 <= value <= most:
        raise ArchitectureError(
            f"{where}{name}: {_shown(value)} is no whole number from 1 to {most}"
        )
    return value


def _share(described: Mapping[str, Any], name: str, where: str) -> float:
    """From 0 to 1, as a float: equal networks have equal ids however they spell it."""
    value = described[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ArchitectureError(f"{where}{name}: {_shown(value)} is no number from 0 to 1")
    return math.fabs(value)  # of -0.0 it is 0.0


def _shown(value: object) -> str:
    """As JSON has it, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(names: Set[str]) -> str:
    return ", ".join(sorted(names))
