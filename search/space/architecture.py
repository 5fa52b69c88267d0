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
# Networks for phones stay far below these limits, which keep any description in memory.
MAX_BLOCKS = 64
MAX_LAYERS = 64  # in one block
MAX_CHANNELS = 8192
MAX_STRIDING = 7  # blocks that stride by 2: after the stem, they halve an image 8 times in all
MAX_EXPANSION = 16
MAX_KERNEL_SIZE = 31


class ArchitectureError(InvalidRequest):
    """A description of a network is wrong; the message names the field and says why."""


@dataclass(frozen=True)
class Block:
    """A group of identical layers, of which only the first may stride and change the width.

    Attributes:
        op: "conv", "dconv" (depthwise-separable) or "mbconv" (inverted bottleneck).
        expansion: Factor of the channels inside an mbconv; 1 for other operations.
        kernel_size: Height and width of the filters, in pixels; odd.
        stride: Stride of the first layer, in pixels.
        se_ratio: Width of the squeeze-and-excitation bottleneck as a share of the layer's input
            channels; 0 for no squeeze-and-excitation.
        skip: The effective skip: "none", "identity" or "pool". It is "none" if no layer of the
            block could have a skip, so that two spellings of one network are equal Blocks.
        out_channels: Number of output channels of every layer.
        layers: Number of layers.
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
    """One network of a space, without the resolution and classes of a `Deployment`.

    Attributes:
        stem_channels: Output channels of the first convolution.
        blocks: The groups of layers, in order.
        head_channels: Output channels of the last convolution.
    """

    stem_channels: int
    blocks: tuple[Block, ...]
    head_channels: int

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that are equal for equal networks on every machine."""
        canonical = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __hash__(self) -> int:
        """Return the hash of the id, which is cached: a search looks networks up often."""
        return hash(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: object) -> Architecture:
        """Return the architecture that `value` describes.

        Descriptions from outside this process are read here, so everything is checked.

        Args:
            value: Any JSON value. It should be what `to_dict` returns, and may also have "id".

        Raises:
            ArchitectureError: A field is missing, unknown, of another type or out of its range,
                or two fields contradict each other. The message begins with the field.
        """
        described = _fields(value, "", _FIELDS, optional={"id"})
        listed = described["blocks"]
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise ArchitectureError(f"blocks: {_shown(listed)} is not a list of blocks")
        if not 1 <= len(listed) <= MAX_BLOCKS:
            raise ArchitectureError(
                f"blocks: a network has 1 to {MAX_BLOCKS} blocks, not {len(listed)}"
            )
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
                f"id: {_shown(described['id'])} is not this network's id, which is "
                f"{architecture.id}: correct it or leave it out"
            )
        return architecture


_FIELDS = frozenset(field.name for field in fields(Architecture))
_BLOCK_FIELDS = frozenset(field.name for field in fields(Block))


def takes_skip(stride: int, in_channels: int, out_channels: int) -> bool:
    """Return whether a layer's input can be added to its output."""
    return stride == 1 and in_channels == out_channels


def can_skip(block: Block, in_channels: int) -> bool:
    """Return whether a layer of the block could have a skip.

    All layers but the first keep the shape of their input; the first one may.
    """
    return block.layers > 1 or takes_skip(block.stride, in_channels, block.out_channels)


def se_channels(block: Block, in_channels: int) -> int:
    """Return the width of a layer's squeeze-and-excitation bottleneck, or 0 if it has none.

    Args:
        block: The layer's block.
        in_channels: Number of input channels of the layer.
    """
    return max(1, int(in_channels * block.se_ratio)) if block.se_ratio else 0


def _block(value: object, where: str, in_channels: int) -> Block:
    described = _fields(value, where, _BLOCK_FIELDS)
    where = f"{where}."
    op = _choice(described, "op", where, OPERATIONS)
    expansion = _integer(described, "expansion", where, MAX_EXPANSION)
    if op != "mbconv" and expansion != 1:
        raise ArchitectureError(f"{where}expansion: {expansion} is not 1, which a {op} needs")
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
            f'{where}skip: "{block.skip}" is not possible, because the only layer strides or does '
            f'not keep its {in_channels} input channels: write "none"'
        )
    return block


def _fields(
    value: object, where: str, names: Set[str], optional: Set[str] = frozenset()
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        what = where or "a network"
        raise ArchitectureError(
            f"{what} must be an object with {_listed(names)}, not {_shown(value)}"
        )
    if value.keys() == names:
        return value
    prefix = f"{where}." if where else ""
    for name in sorted(names - value.keys()):
        raise ArchitectureError(f"{prefix}{name} is missing")
    for name in sorted(map(str, value.keys() - names - optional)):
        raise ArchitectureError(
            f"{prefix}{name[:80]!r} is an unknown field: the fields are {_listed(names)}"
        )
    return value


def _choice(described: Mapping[str, Any], name: str, where: str, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    value = described[name]
    # Types must match, because 1 == True == 1.0, but their networks would have three ids.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        known = ", ".join(map(str, choices))
        raise ArchitectureError(f"{where}{name}: {_shown(value)} is not one of {known}")
    return value


def _channels(described: Mapping[str, Any], name: str, where: str = "") -> int:
    return _integer(described, name, where, MAX_CHANNELS)


def _integer(described: Mapping[str, Any], name: str, where: str, most: int) -> int:
    value = described[name]
    if type(value) is not int or not 1 <= value <= most:
        raise ArchitectureError(
            f"{where}{name}: {_shown(value)} is not a whole number from 1 to {most}"
        )
    return value


def _share(described: Mapping[str, Any], name: str, where: str) -> float:
    """Return a number from 0 to 1 as a float, so that 0, -0.0 and 0.0 give the same id."""
    value = described[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ArchitectureError(f"{where}{name}: {_shown(value)} is not a number from 0 to 1")
    return math.fabs(value)


def _shown(value: object) -> str:
    """Return the value as JSON, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(names: Set[str]) -> str:
    return ", ".join(sorted(names))
