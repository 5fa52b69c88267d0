"""A supernet: one set of weights for all networks of a space (Yu et al. 2020, "BigNAS").

A network's weights are slices of the shared ones: the first channels, the first layers of a
block, the centre of a kernel. Kinds of convolutions share none. What runs is the module of
`search.network`, so that there is no second account of what a network is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from search.architecture import Architecture
from search.network import build_network
from search.space import Space

# Where squeeze-and-excitation stands in a layer's body: without it, the rest moves up.
SE_PLACE = {"conv": 1, "dconv": 1, "mbconv": 2}


class Supernet:
    """`weights`, by name: those that a network of `space` takes slices of, as `build_network`
    would make them with `seed`. The other arguments are its, too."""

    def __init__(
        self,
        space: Space,
        *,
        classes: int,
        width_multiplier: float,
        stem_stride: int,
        input_channels: int,
        seed: int,
    ) -> None:
        self.space = space
        self._build = partial(
            build_network,
            classes=classes,
            width_multiplier=width_multiplier,
            stem_stride=stem_stride,
            input_channels=input_channels,
            seed=seed,
        )
        self.weights: dict[str, nn.Parameter] = {}
        for op in sorted({op for op, _ in space.convolutions}):
            largest = self.space.resolve(resized(space, _all_of(space, op), max))
            for name, parameter in self._build(largest).named_parameters():
                self.weights.setdefault(_shared_name(name, largest), parameter)

    def logits(self, architecture: Architecture, images: Tensor) -> Tensor:
        """Of the network in training mode, differentiable in `weights`. Raises ValueError for
        one that is larger than the space."""
        network = self._build(architecture)
        logits: Tensor = functional_call(network, self._slices(architecture, network), (images,))
        return logits

    @torch.no_grad()
    def cut_out(self, architecture: Architecture) -> nn.Module:
        """The network with its own copy of its weights. Batch-norm has seen nothing yet.
        Raises ValueError for one that is larger than the space."""
        network = self._build(architecture)
        network.load_state_dict(self._slices(architecture, network), strict=False)
        return network

    def _slices(self, architecture: Architecture, network: nn.Module) -> dict[str, Tensor]:
        return {
            name: _slice(self.weights.get(_shared_name(name, architecture)), parameter.shape)
            for name, parameter in network.named_parameters()
        }


def resized(
    space: Space, choices: Sequence[int], extreme: Callable[..., int]
) -> tuple[int, ...]:
    """The largest (`max`) or the smallest (`min`) network with the kinds of convolutions and
    the skips of `choices`."""

    def resize(kind: str, options: Sequence[Any], choice: int) -> int:
        if kind == "skip":
            return choice
        same_op = range(len(options))
        if kind == "convolution":
            same_op = [i for i in same_op if options[i][0] == options[choice][0]]
        return extreme(same_op, key=options.__getitem__)

    return tuple(
        resize(decision.name.partition(".")[2], decision.choices, choice)
        for decision, choice in zip(space.decisions, choices, strict=True)
    )


def _all_of(space: Space, op: str) -> list[int]:
    """Choices with that kind of convolution in every block."""
    ops = [option[0] for option in space.convolutions]
    return [
        ops.index(op) if decision.name.endswith(".convolution") else 0
        for decision in space.decisions
    ]


def _shared_name(name: str, architecture: Architecture) -> str:
    """Of a network's parameter: "blocks.2.mbconv.0.body.3.1.weight" is shared by all whose
    third block is of that kind, whether they have squeeze-and-excitation or not."""
    match name.split("."):
        case "blocks", block, layer, "body", place, *rest:
            chosen = architecture.blocks[int(block)]
            moved_up = not chosen.se_ratio and int(place) >= SE_PLACE[chosen.op]
            return ".".join(
                ["blocks", block, chosen.op, layer, "body", str(int(place) + moved_up), *rest]
            )
    return name


def _slice(shared: Tensor | None, shape: torch.Size) -> Tensor:
    if shared is None or any(have < want for have, want in zip(shared.shape, shape, strict=True)):
        raise ValueError("the network is larger than the space that the supernet is of")
    for dim, size in enumerate(shape):
        start = (shared.shape[dim] - size) // 2 if dim >= 2 else 0
        shared = shared.narrow(dim, start, size)
    return shared
