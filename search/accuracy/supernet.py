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
from search.network import empty_network, initialize
from search.space import Decision, Space

# Where squeeze-and-excitation stands in a layer's body: without it, the rest moves up.
SE_PLACE = {"conv": 1, "dconv": 1, "mbconv": 2}


class Supernet:
    """`weights`, by name, on `device`: those that a network of `space` takes slices of, as
    `build_network` would make them with `seed`. The other arguments are its, too."""

    def __init__(
        self,
        space: Space,
        *,
        classes: int,
        width_multiplier: float,
        stem_stride: int,
        input_channels: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.space, self.device = space, device
        self._shaped = partial(
            empty_network,
            classes=classes,
            width_multiplier=width_multiplier,
            stem_stride=stem_stride,
            input_channels=input_channels,
        )
        self.weights: dict[str, nn.Parameter] = {}
        # Sorted, so that all machines begin alike.
        for op in sorted({op for op, _ in space.convolutions}):
            architecture = space.resolve(largest(space, op))
            network = self._shaped(architecture).to_empty(device="cpu")
            initialize(network, seed)  # a GPU would draw others
            for name, parameter in network.named_parameters():
                shared = _shared_name(name, architecture)
                if shared not in self.weights:
                    self.weights[shared] = nn.Parameter(parameter.detach().to(device))

    def outputs(
        self,
        architecture: Architecture,
        images: Tensor,
        inputs: Sequence[Tensor | None] = (),
    ) -> list[Tensor]:
        """What each block of the network gives, and last its logits; in training mode, and
        differentiable in `weights`.

        inputs: what the blocks after the first one take, as many channels as they have,
        instead of what the block before gives; None leaves it.

        Raises ValueError for a network that is larger than the space.
        """
        network = self._empty(architecture)
        given: list[Tensor] = []
        blocks = list(network.get_submodule("blocks").children())
        for block in blocks:
            block.register_forward_hook(lambda module, taken, gives: given.append(gives))
        for block, instead in zip(blocks[1:], inputs, strict=False):
            if instead is not None:
                block.register_forward_pre_hook(partial(_first_channels, instead))
        logits: Tensor = functional_call(network, self._slices(architecture, network), (images,))
        return [*given, logits]

    @torch.no_grad()
    def cut_out(self, architecture: Architecture) -> nn.Module:
        """The network with its own copy of its weights. Batch-norm has seen nothing yet.
        Raises ValueError for one that is larger than the space."""
        network = self._empty(architecture)
        network.load_state_dict(self._slices(architecture, network), strict=False)
        return network

    def _empty(self, architecture: Architecture) -> nn.Module:
        """The network with anything for weights."""
        network = self._shaped(architecture).to_empty(device=self.device)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        return network

    def _slices(self, architecture: Architecture, network: nn.Module) -> dict[str, Tensor]:
        return {
            name: _slice(self.weights.get(_shared_name(name, architecture)), parameter.shape)
            for name, parameter in network.named_parameters()
        }


def largest(space: Space, op: str | None = None) -> tuple[int, ...]:
    """Choices of the largest network with that kind of convolution, by default the one that
    expands most; with identity skips, along which a deep network learns soonest."""
    op = op or max(space.convolutions, key=lambda convolution: convolution[1])[0]
    ops = [each for each, _ in space.convolutions]
    anchor = {"convolution": ops.index(op), "skip": space.skips.index("identity")}
    return resized(space, [anchor.get(_kind(d), 0) for d in space.decisions], max)


def resized(space: Space, choices: Sequence[int], extreme: Callable[..., int]) -> tuple[int, ...]:
    """The largest (`max`) or the smallest (`min`) network with the kinds of convolutions and
    the skips of `choices`."""

    def resize(kind: str, options: Sequence[Any], choice: int) -> int:
        eligible = [
            index
            for index, option in enumerate(options)
            if kind != "convolution" or option[0] == options[choice][0]
        ]
        return choice if kind == "skip" else extreme(eligible, key=options.__getitem__)

    return tuple(
        resize(_kind(decision), decision.choices, choice)
        for decision, choice in zip(space.decisions, choices, strict=True)
    )


def _kind(decision: Decision) -> str:
    """What is decided, of whichever block."""
    return decision.name.partition(".")[2]


def _first_channels(
    instead: Tensor, block: nn.Module, taken: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    return (instead[:, : taken[0].shape[1]],)


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
