from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from search.accuracy.supernet import Supernet, largest, resized
from search.network import MobileLayer, SqueezeExcite, build_network
from search.space import SPACES, Space
from search.zoo import ZOO
from tests.search.test_space import in_any_space

OPTIONS = {"classes": 7, "width_multiplier": 0.25, "stem_stride": 1, "input_channels": 1}
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@cache
def supernet(name: str) -> Supernet:
    return Supernet(SPACES[name], **OPTIONS, seed=0)  # type: ignore[arg-type]


def modules(network: nn.Module) -> dict[tuple[object, ...], nn.Module]:
    """By what they do and where, whatever else is there."""
    found: dict[tuple[object, ...], nn.Module] = {
        (name,): network.get_submodule(name) for name in ("stem", "head", "classifier")
    }
    for name, layer in network.named_modules():
        if isinstance(layer, MobileLayer):
            excites = [part for part in layer.body if isinstance(part, SqueezeExcite)]
            convolutions = [part for part in layer.body if part not in excites]
            found |= {(name, "convolution", n): part for n, part in enumerate(convolutions)}
            found |= {(name, "excite", n): part for n, part in enumerate(excites)}
    return found


def corner(weight: Tensor, shape: torch.Size) -> Tensor:
    """The first channels, and of a kernel the centre."""
    edges = [(have - want) // 2 for have, want in zip(weight.shape[2:], shape[2:], strict=True)]
    channels = [slice(want) for want in shape[:2]]
    centre = [slice(e, e + want) for e, want in zip(edges, shape[2:], strict=True)]
    return weight[(*channels, *centre)]


@settings(max_examples=6, deadline=None)
@given(in_any_space)
def test_a_network_cut_out_is_the_one_of_these_slices(
    drawn: tuple[Space, tuple[int, ...]],
) -> None:
    space, choices = drawn
    architecture = space.resolve(choices)
    shared = supernet(space.name)
    enclosing = shared.cut_out(space.resolve(resized(space, choices, max)))
    network = build_network(architecture, **OPTIONS)  # type: ignore[arg-type]
    with torch.no_grad():
        wholes = modules(enclosing)
        for place, module in modules(network).items():
            for name, parameter in module.named_parameters():
                parameter.copy_(corner(wholes[place].get_parameter(name), parameter.shape))
        expected = network(IMAGES)
        torch.testing.assert_close(shared.outputs(architecture, IMAGES)[-1], expected)
        torch.testing.assert_close(shared.cut_out(architecture)(IMAGES), expected)


@given(in_any_space)
def test_the_largest_and_the_smallest_keep_kinds_and_skips(
    drawn: tuple[Space, tuple[int, ...]],
) -> None:
    space, choices = drawn
    sizes = []
    for extreme in (min, max):
        found = resized(space, choices, extreme)
        assert resized(space, found, extreme) == found
        blocks = space.resolve(found).blocks
        assert [block.op for block in blocks] == [b.op for b in space.resolve(choices).blocks]
        for decision, before, after in zip(space.decisions, choices, found, strict=True):
            assert before == after or not decision.name.endswith("skip")
        sizes.append([(b.expansion, b.kernel_size, b.out_channels, b.layers) for b in blocks])
    for block, *bounds in zip(space.resolve(choices).blocks, *sizes, strict=True):
        size = (block.expansion, block.kernel_size, block.out_channels, block.layers)
        for least, own, most in zip(bounds[0], size, bounds[1], strict=True):
            assert least <= own <= most


def test_published_networks_fit_in_and_larger_ones_are_refused() -> None:
    shared, published = supernet("mnasnet"), ZOO["mnasnet-a1"]
    assert shared.cut_out(published)(IMAGES).shape == (3, 7)
    wider = replace(published, head_channels=2560)
    deeper = replace(
        published, blocks=tuple(replace(block, layers=6) for block in published.blocks)
    )
    for larger in (wider, deeper):
        with pytest.raises(ValueError, match="larger than the space"):
            shared.cut_out(larger)


def test_training_one_network_moves_its_slices_alone() -> None:
    shared = Supernet(SPACES["mnasnet"], **OPTIONS, seed=0)  # type: ignore[arg-type]
    smallest = shared.space.resolve([0] * len(shared.space.decisions))
    shared.outputs(smallest, IMAGES)[-1].sum().backward()  # type: ignore[no-untyped-call]
    touched = {name for name, weight in shared.weights.items() if weight.grad is not None}
    assert {name.split(".")[2] for name in touched if name.startswith("blocks")} == {"conv"}
    kernel = shared.weights["blocks.0.conv.0.body.0.0.weight"].grad
    assert kernel is not None
    assert kernel.shape[2:] == (5, 5)
    assert kernel[0, 0, 1:-1, 1:-1].all()
    assert not kernel[:, :, 0].any()


def test_a_block_takes_the_first_channels_of_what_it_is_given_instead() -> None:
    shared = supernet("mnasnet")
    space = shared.space
    largest_of_all = space.resolve(largest(space))
    assert {block.expansion for block in largest_of_all.blocks} == {6}
    small = space.resolve([0] * len(space.decisions))
    with torch.no_grad():
        teachers = shared.outputs(largest_of_all, IMAGES)
        own = shared.outputs(small, IMAGES)
        instead = shared.outputs(small, IMAGES, [None, teachers[1]])
        same = shared.outputs(small, IMAGES, own[:-2])
    channels = [output.shape[1] for output in own[:-1]]
    assert all(few <= many.shape[1] for few, many in zip(channels, teachers, strict=False))
    for index, (before, after) in enumerate(zip(own, instead, strict=True)):
        assert torch.equal(before, after) == (index < 2)
    assert all(map(torch.equal, own, same))
