"""Search spaces: their decisions, and the networks that choices resolve to."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from search.space.architecture import Architecture, Block, can_skip
from search.space.scaling import round_channels


@dataclass(frozen=True, slots=True)
class Decision:
    """One searched choice.

    Attributes:
        column: The decision's column in a table of networks.
        cells: How such a table writes each choice.
    """

    name: str
    choices: tuple[Any, ...]
    column: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The block that the choices for one block are relative to.

    Attributes:
        out_channels: Output channels before the chosen factor.
        layers: Number of layers before the chosen addition.
        stride: The stride, which is not searched.
        more_layers: What this block may add to `layers`; None for what all blocks may add.
    """

    out_channels: int
    layers: int
    stride: int
    more_layers: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """How a published table of networks writes a decision.

    Attributes:
        name: The column's name, with {index} for the block's index from 0.
        cells: What is written for each choice; None for its str().
    """

    name: str
    cells: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Space:
    """A factorized hierarchical space: every block takes the same decisions, for itself.

    A property with one choice is fixed and not a decision. A network is given by its choices:
    one index for each of `decisions`, block by block.

    Attributes:
        references: What each block's choices are relative to.
        convolutions: Pairs of an operation and its expansion.
        se_ratios: Widths of squeeze-and-excitation as shares of a layer's input channels.
        filters: Factors of the reference's output channels.
        layers: Additions to the reference's layers. A block has at least one layer.
        columns: Columns of published tables by the property they hold, if not named like it.
    """

    name: str
    stem_channels: int
    head_channels: int
    references: tuple[Reference, ...]
    convolutions: tuple[tuple[str, int], ...]
    kernel_sizes: tuple[int, ...]
    se_ratios: tuple[float, ...]
    skips: tuple[str, ...]
    filters: tuple[float, ...]
    layers: tuple[int, ...]
    columns: Mapping[str, Column] = field(default_factory=dict)

    @cached_property
    def _blocks(self) -> tuple[dict[str, tuple[Any, ...]], ...]:
        """The choices of each block, by property."""
        return tuple(
            {
                "convolution": self.convolutions,
                "kernel_size": self.kernel_sizes,
                "se_ratio": self.se_ratios,
                "skip": self.skips,
                "filters": self.filters,
                "layers": self.layers if reference.more_layers is None else reference.more_layers,
            }
            for reference in self.references
        )

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions, named like "block3.skip". Blocks count from 1."""
        return tuple(
            self._decision(index, name, choices)
            for index, block in enumerate(self._blocks)
            for name, choices in block.items()
            if len(choices) > 1
        )

    def resolve(self, choices: Sequence[int]) -> Architecture:
        """Return the network of some choices.

        Raises:
            ValueError: The number of choices is wrong, or one is out of its range.
        """
        self._check(choices)
        remaining = iter(choices)
        blocks: list[Block] = []
        in_channels = self.stem_channels
        for reference, options in zip(self.references, self._blocks, strict=True):
            chosen = {
                name: values[next(remaining)] if len(values) > 1 else values[0]
                for name, values in options.items()
            }
            blocks.append(_resolve_block(reference, in_channels, **chosen))
            in_channels = blocks[-1].out_channels
        return Architecture(self.stem_channels, tuple(blocks), self.head_channels)

    def active(self, choices: Sequence[int]) -> tuple[bool, ...]:
        """Return whether each decision matters: a skip does not where no layer can have one."""
        flags: list[bool] = []
        in_channels = self.stem_channels
        for block, options in zip(self.resolve(choices).blocks, self._blocks, strict=True):
            skips = can_skip(block, in_channels)
            flags += [
                name != "skip" or skips for name, values in options.items() if len(values) > 1
            ]
            in_channels = block.out_channels
        return tuple(flags)

    @cached_property
    def smallest(self) -> tuple[int, ...]:
        """The choices of the network with the fewest parameters and multiply-adds.

        The space needs depthwise-separable convolutions for that.
        """
        return tuple(
            _smallest(name, values)
            for block in self._blocks
            for name, values in block.items()
            if len(values) > 1
        )

    def sample(self, rng: np.random.Generator | random.Random) -> tuple[int, ...]:
        """Draw choices, uniformly for every decision, with one call of `rng.random` each."""
        return tuple(int(rng.random() * len(d.choices)) for d in self.decisions)

    def spell(self, architecture: Architecture) -> tuple[int, ...] | None:
        """Return choices that resolve to a network, always the same; None if there are none."""
        choices: list[int] = []
        try:
            for block, reference, options in zip(
                architecture.blocks, self.references, self._blocks, strict=True
            ):
                widths = [_width(reference, factor) for factor in options["filters"]]
                depths = [_depth(reference, more) for more in options["layers"]]
                indices = {
                    "convolution": self.convolutions.index((block.op, block.expansion)),
                    "kernel_size": self.kernel_sizes.index(block.kernel_size),
                    "se_ratio": self.se_ratios.index(block.se_ratio),
                    "skip": self.skips.index(block.skip) if block.skip in self.skips else 0,
                    "filters": widths.index(block.out_channels),
                    "layers": depths.index(block.layers),
                }
                choices += [indices[name] for name, values in options.items() if len(values) > 1]
        except ValueError:
            return None
        return tuple(choices) if self.resolve(choices) == architecture else None

    def _check(self, choices: Sequence[int]) -> None:
        if len(choices) != len(self.decisions):
            raise ValueError(f"the space takes {len(self.decisions)} choices, not {len(choices)}")
        for decision, choice in zip(self.decisions, choices, strict=True):
            last = len(decision.choices) - 1
            if not 0 <= choice <= last:
                raise ValueError(f"{decision.name} has choices 0 to {last}, not {choice}")

    def _decision(self, index: int, name: str, choices: tuple[Any, ...]) -> Decision:
        column = self.columns.get(name) or Column(f"block{index + 1}.{name}")
        cells = column.cells or tuple(map(str, choices))
        return Decision(f"block{index + 1}.{name}", choices, column.name.format(index=index), cells)


@lru_cache(maxsize=16_384, typed=True)  # 0 == 0.0, but their networks have two ids
def _resolve_block(
    reference: Reference,
    in_channels: int,
    *,
    convolution: tuple[str, int],
    kernel_size: int,
    se_ratio: float,
    skip: str,
    filters: float,
    layers: int,
) -> Block:
    op, expansion = convolution
    width, depth = _width(reference, filters), _depth(reference, layers)
    block = Block(op, expansion, kernel_size, reference.stride, se_ratio, skip, width, depth)
    return block if can_skip(block, in_channels) else replace(block, skip="none")


def _smallest(name: str, values: Sequence[Any]) -> int:
    """Return the index of the choice that adds least to a network; skips add nothing."""
    if name == "skip":
        return 0
    if name == "convolution":
        return min(range(len(values)), key=lambda i: (values[i][1], values[i][0] == "conv"))
    return values.index(min(values))


def _width(reference: Reference, factor: float) -> int:
    return round_channels(reference.out_channels * factor)


def _depth(reference: Reference, more: int) -> int:
    return max(1, reference.layers + more)


def mnasnet_space() -> Space:
    """Return MnasNet's space around MobileNetV2 (Tan et al. 2019, section 4.1)."""
    return Space(
        name="mnasnet",
        stem_channels=32,
        head_channels=1280,
        references=(
            Reference(out_channels=16, layers=1, stride=1),
            Reference(out_channels=24, layers=2, stride=2),
            Reference(out_channels=32, layers=3, stride=2),
            Reference(out_channels=64, layers=4, stride=2),
            Reference(out_channels=96, layers=3, stride=1),
            Reference(out_channels=160, layers=3, stride=2),
            Reference(out_channels=320, layers=1, stride=1),
        ),
        convolutions=(("conv", 1), ("dconv", 1), ("mbconv", 3), ("mbconv", 6)),
        kernel_sizes=(3, 5),
        se_ratios=(0.0, 0.25),
        skips=("pool", "identity", "none"),
        filters=(0.75, 1.0, 1.25),
        layers=(-1, 0, 1),
    )


def accel_nas_bench_space() -> Space:
    """Return Accel-NASBench's space (Ahmad et al. 2024), which has fixed widths.

    Its networks were trained on ImageNet; their accuracies and latencies are published as a
    table. The references have no layers, so `layers` are the numbers of layers themselves.
    """
    return Space(
        name="accel-nas-bench",
        stem_channels=32,
        head_channels=1280,
        references=(
            Reference(out_channels=16, layers=0, stride=1),
            Reference(out_channels=24, layers=0, stride=2),
            Reference(out_channels=40, layers=0, stride=2),
            Reference(out_channels=80, layers=0, stride=2),
            Reference(out_channels=112, layers=0, stride=1),
            Reference(out_channels=192, layers=0, stride=2, more_layers=(1, 2, 3, 4)),
            Reference(out_channels=320, layers=0, stride=1),
        ),
        convolutions=(("dconv", 1), ("mbconv", 4), ("mbconv", 6)),
        kernel_sizes=(3, 5),
        se_ratios=(0.0, 0.25),
        skips=("identity",),
        filters=(1.0,),
        layers=(1, 2, 3),
        columns={
            "convolution": Column("block{index}_e", ("1", "4", "6")),
            "kernel_size": Column("block{index}_k"),
            "se_ratio": Column("block{index}_se", ("False", "True")),
            "layers": Column("block{index}_l"),
        },
    )


SPACES = {space.name: space for space in (mnasnet_space(), accel_nas_bench_space())}
