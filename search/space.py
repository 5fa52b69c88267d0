"""Search spaces: the decisions, and what a tuple of choices resolves to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from search.architecture import Architecture, Block
from search.layers import round_channels, takes_skip


@dataclass(frozen=True, slots=True)
class Decision:
    name: str
    choices: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the choices of one block start from; its stride is not searched."""

    out_channels: int
    layers: int
    stride: int


@dataclass(frozen=True)
class Space:
    """A factorized hierarchical space: the same decisions for every block, taken anew in
    each. `choices` are indices, one for each of `decisions`, block by block.

    convolutions: (op, expansion) pairs. filters: factors of the reference's channels.
    layers: what is added to the reference's; a block never has less than one.
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

    @cached_property
    def _block_decisions(self) -> tuple[Decision, ...]:
        return (
            Decision("convolution", self.convolutions),
            Decision("kernel_size", self.kernel_sizes),
            Decision("se_ratio", self.se_ratios),
            Decision("skip", self.skips),
            Decision("filters", self.filters),
            Decision("layers", self.layers),
        )

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Six for each block, named like "block3.skip"; blocks count from 1."""
        return tuple(
            Decision(f"block{number}.{decision.name}", decision.choices)
            for number in range(1, len(self.references) + 1)
            for decision in self._block_decisions
        )

    def resolve(self, choices: Sequence[int]) -> Architecture:
        """Raises ValueError for a wrong number of choices, or one out of its range."""
        self._check(choices)
        blocks: list[Block] = []
        in_channels = self.stem_channels
        width = len(self._block_decisions)
        for index, reference in enumerate(self.references):
            block = self._resolve_block(
                reference, in_channels, choices[index * width : (index + 1) * width]
            )
            blocks.append(block)
            in_channels = block.out_channels
        return Architecture(self.stem_channels, tuple(blocks), self.head_channels)

    def active(self, choices: Sequence[int]) -> tuple[bool, ...]:
        """False for each decision that, given the others, changes nothing: the skip of a
        block of which no layer could have one."""
        flags: list[bool] = []
        in_channels = self.stem_channels
        for block in self.resolve(choices).blocks:
            can_skip = _can_skip(block, in_channels)
            flags += [
                can_skip if decision.name == "skip" else True for decision in self._block_decisions
            ]
            in_channels = block.out_channels
        return tuple(flags)

    def sample(self, rng: np.random.Generator | random.Random) -> tuple[int, ...]:
        """Uniform over the choices of every decision, one draw each."""
        return tuple(int(rng.random() * len(d.choices)) for d in self.decisions)

    def spell(self, architecture: Architecture) -> tuple[int, ...] | None:
        """Choices that resolve to `architecture`, always the same ones; None if it lies
        outside the space."""
        try:
            choices = [
                index
                for block, reference in zip(architecture.blocks, self.references, strict=True)
                for index in (
                    self.convolutions.index((block.op, block.expansion)),
                    self.kernel_sizes.index(block.kernel_size),
                    self.se_ratios.index(block.se_ratio),
                    self.skips.index(block.skip),
                    self._widths(reference).index(block.out_channels),
                    self._depths(reference).index(block.layers),
                )
            ]
        except ValueError:
            return None
        return tuple(choices) if self.resolve(choices) == architecture else None

    def _check(self, choices: Sequence[int]) -> None:
        if len(choices) != len(self.decisions):
            raise ValueError(
                f"{self.name} takes {len(self.decisions)} choices, {len(choices)} given"
            )
        for decision, choice in zip(self.decisions, choices, strict=True):
            if not 0 <= choice < len(decision.choices):
                raise ValueError(
                    f"{decision.name} has {len(decision.choices)} choices, {choice} given"
                )

    def _resolve_block(
        self, reference: Reference, in_channels: int, choices: Sequence[int]
    ) -> Block:
        convolution, kernel_size, se_ratio, skip, filters, layers = choices
        op, expansion = self.convolutions[convolution]
        block = Block(
            op=op,
            expansion=expansion,
            kernel_size=self.kernel_sizes[kernel_size],
            stride=reference.stride,
            se_ratio=self.se_ratios[se_ratio],
            skip=self.skips[skip],
            out_channels=self._widths(reference)[filters],
            layers=self._depths(reference)[layers],
        )
        return block if _can_skip(block, in_channels) else replace(block, skip="none")

    def _widths(self, reference: Reference) -> tuple[int, ...]:
        return tuple(round_channels(reference.out_channels * factor) for factor in self.filters)

    def _depths(self, reference: Reference) -> tuple[int, ...]:
        return tuple(max(1, reference.layers + extra) for extra in self.layers)


def _can_skip(block: Block, in_channels: int) -> bool:
    """Every layer but the first keeps shape; the first one may."""
    return block.layers > 1 or takes_skip(block.stride, in_channels, block.out_channels)


def mnasnet_space() -> Space:
    """MnasNet's space around MobileNetV2 (Tan et al. 2019, section 4.1)."""
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
