from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.space.deployment import Deployment
from search.space.operators import describe
from search.space.scaling import round_channels
from search.space.space import SPACES, Reference, Space, mnasnet_space
from search.space.zoo import ZOO

SPACE = mnasnet_space()


def choices(space: Space) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*(st.integers(0, len(d.choices) - 1) for d in space.decisions))


in_any_space = st.sampled_from(list(SPACES.values())).flatmap(
    lambda space: st.tuples(st.just(space), choices(space))
)


def test_the_space_is_the_papers() -> None:
    assert len(SPACE.decisions) == 7 * 6
    per_block = [len(decision.choices) for decision in SPACE.decisions[:6]]
    assert np.prod(per_block) == 432
    reference = SPACE.resolve((0, 0, 0, 2, 1, 1) * 7)
    assert [b.out_channels for b in reference.blocks] == [16, 24, 32, 64, 96, 160, 320]
    assert [b.layers for b in reference.blocks] == [1, 2, 3, 4, 3, 3, 1]
    assert [b.stride for b in reference.blocks] == [1, 2, 2, 2, 1, 2, 1]


def test_the_reduced_space_is_accel_nas_bench_s() -> None:
    space = SPACES["accel-nas-bench"]
    decisions = [decision.name for decision in space.decisions]
    assert decisions[:4] == [
        f"block1.{n}" for n in ("convolution", "kernel_size", "se_ratio", "layers")
    ]
    assert [len(decision.choices) for decision in space.decisions] == [3, 2, 2, 3] * 5 + [
        3,
        2,
        2,
        4,
    ] + [3, 2, 2, 3]
    largest = space.resolve([len(decision.choices) - 1 for decision in space.decisions])
    assert [b.out_channels for b in largest.blocks] == [16, 24, 40, 80, 112, 192, 320]
    assert [b.layers for b in largest.blocks] == [3, 3, 3, 3, 3, 4, 3]
    assert {b.expansion for b in largest.blocks} == {6}


@given(in_any_space)
def test_every_resolution_is_well_formed(drawn: tuple[Space, tuple[int, ...]]) -> None:
    space, picked = drawn
    architecture = space.resolve(picked)
    described = describe(architecture, Deployment()).blocks
    for block, layers in zip(architecture.blocks, described, strict=True):
        assert block.layers >= 1
        assert block.out_channels % 8 == 0
        assert block.expansion == 1 or block.op == "mbconv"
        if block.skip != "none":
            assert any(layer.skip == block.skip for layer in layers)
        for layer in layers:
            if layer.skip != "none":
                assert layer.input == layer.output


@given(in_any_space)
@settings(max_examples=30, deadline=None)  # each one resolves a hundred networks
def test_a_decision_is_inactive_exactly_when_no_other_choice_changes_anything(
    drawn: tuple[Space, tuple[int, ...]],
) -> None:
    space, picked = drawn
    architecture = space.resolve(picked)
    for index, (decision, active) in enumerate(
        zip(space.decisions, space.active(picked), strict=True)
    ):
        others = {
            space.resolve((*picked[:index], choice, *picked[index + 1 :])).id
            for choice in range(len(decision.choices))
        }
        assert active == (others != {architecture.id})


@given(in_any_space)
def test_spelling_gives_choices_of_the_same_network(drawn: tuple[Space, tuple[int, ...]]) -> None:
    space, picked = drawn
    architecture = space.resolve(picked)
    spelled = space.spell(architecture)
    assert spelled is not None
    assert space.resolve(spelled) == architecture
    assert space.spell(space.resolve(spelled)) == spelled


def test_networks_outside_the_space_have_no_spelling() -> None:
    assert SPACE.spell(ZOO["mnasnet-a1"]) is None
    assert SPACE.spell(ZOO["mnasnet-small"]) is None
    assert SPACE.spell(ZOO["mobilenet-v2"]) is not None


def test_a_stride_1_block_of_one_layer_skips_where_its_width_is_its_inputs() -> None:
    space = Space(
        name="small",
        stem_channels=16,
        head_channels=32,
        references=(Reference(out_channels=16, layers=1, stride=1),),
        convolutions=(("mbconv", 3),),
        kernel_sizes=(3,),
        se_ratios=(0.0,),
        skips=("identity", "none"),
        filters=(1.0, 2.0),
        layers=(0,),
    )
    assert [decision.name for decision in space.decisions] == ["block1.skip", "block1.filters"]
    same, wider = (0, 0), (0, 1)
    assert space.resolve(same).blocks[0].skip == "identity"
    assert space.active(same) == (True, True)
    assert space.resolve(wider).blocks[0].skip == "none"
    assert space.active(wider) == (False, True)


@pytest.mark.parametrize("make_rng", [np.random.default_rng, random.Random])
def test_samples_are_reproducible_and_reach_every_choice(
    make_rng: Callable[[int], np.random.Generator | random.Random],
) -> None:
    rng, again = make_rng(0), make_rng(0)
    samples = [SPACE.sample(rng) for _ in range(300)]
    assert samples == [SPACE.sample(again) for _ in range(300)]
    for decision, column in zip(SPACE.decisions, zip(*samples, strict=True), strict=True):
        assert set(column) == set(range(len(decision.choices)))


def test_wrong_choices_are_named() -> None:
    with pytest.raises(ValueError, match="takes 42 choices, not 41"):
        SPACE.resolve((0,) * 41)
    with pytest.raises(ValueError, match=r"block1\.kernel_size has choices 0 to 1, not 2"):
        SPACE.resolve((0, 2) + (0,) * 40)


@given(st.floats(1, 5000))
def test_rounding_keeps_nine_tenths(channels: float) -> None:
    rounded = round_channels(channels)
    assert rounded % 8 == 0
    assert rounded >= 8
    assert rounded >= 0.9 * channels
    assert channels <= 8 or rounded <= channels + 8
