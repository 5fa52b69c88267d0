"""Architectures from outside: what is none is refused with the field named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.export import export_program
from search.space.architecture import Architecture, ArchitectureError, Block
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.network import build_network
from search.space.space import SPACES
from search.space.zoo import ZOO
from search.study.architecture_file import read_architecture
from tests.old_lab.narrow_space import narrow_space
from tests.search.drawn import architectures
from tests.search.fakes import small_space

A1 = ZOO["mnasnet-a1"]


def described(**change: object) -> dict[str, Any]:
    """MnasNet-A1, with a change of its second block."""
    value: dict[str, Any] = json.loads(json.dumps(A1.to_dict()))
    value["blocks"][1] |= change
    return value


@given(architectures())
def test_what_is_written_is_read(architecture: Architecture) -> None:
    again = Architecture.from_dict(json.loads(json.dumps(architecture.to_dict())))
    assert again == architecture
    assert again.id == architecture.id
    assert Architecture.from_dict({**architecture.to_dict(), "id": architecture.id}) == again


@pytest.mark.parametrize(
    "space", [*SPACES.values(), small_space(), narrow_space()], ids=lambda s: s.name
)
@given(data=st.data())
def test_every_network_of_a_space_is_read(space: Any, data: st.DataObject) -> None:  # noqa: ANN401
    choices = [data.draw(st.integers(0, len(d.choices) - 1)) for d in space.decisions]
    architecture = space.resolve(choices)
    assert Architecture.from_dict(architecture.to_dict()).id == architecture.id


def test_ids_are_those_of_old_studies() -> None:
    assert [architecture.id for architecture in ZOO.values()] == [
        "bd7f4b99d56f",
        "9ae7d8d5fbb3",
        "fa9c96563c01",
        "e007cef1f71d",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"op": "attention"}, 'blocks[1].op: "attention" is not one of conv, dconv, mbconv'),
        ({"op": ["conv"]}, 'blocks[1].op: ["conv"] is not one of conv, dconv, mbconv'),
        ({"layers": 0}, "blocks[1].layers: 0 is not a whole number from 1 to 64"),
        ({"layers": -1}, "blocks[1].layers: -1 is not a"),
        ({"layers": True}, "blocks[1].layers: true is not a"),
        ({"layers": 10**400}, "blocks[1].layers: "),
        ({"stride": 7}, "blocks[1].stride: 7 is not one of 1, 2"),
        ({"stride": 0}, "blocks[1].stride: 0 is not one of 1, 2"),
        ({"stride": True}, "blocks[1].stride: true is not one of 1, 2"),
        ({"stride": 2.0}, "blocks[1].stride: 2.0 is not one of 1, 2"),
        ({"kernel_size": 4}, "blocks[1].kernel_size: 4 is not odd"),
        ({"kernel_size": 0}, "blocks[1].kernel_size: 0 is not a whole number from 1 to 31"),
        (
            {"out_channels": 32.5},
            "blocks[1].out_channels: 32.5 is not a whole number from 1 to 8192",
        ),
        ({"out_channels": "32"}, 'blocks[1].out_channels: "32" is not a'),
        ({"out_channels": float("inf")}, "blocks[1].out_channels: Infinity is not a"),
        ({"out_channels": 10**6}, "blocks[1].out_channels: 1000000 is not a"),
        ({"se_ratio": float("nan")}, "blocks[1].se_ratio: NaN is not a number from 0 to 1"),
        ({"se_ratio": -0.25}, "blocks[1].se_ratio: -0.25 is not a"),
        ({"se_ratio": False}, "blocks[1].se_ratio: false is not a"),
        ({"expansion": 0}, "blocks[1].expansion: 0 is not a"),
        ({"op": "conv"}, "blocks[1].expansion: 6 is not 1, which a conv needs"),
        ({"skip": "residual"}, 'blocks[1].skip: "residual" is not one of none, identity, pool'),
        ({"layers": 1}, 'blocks[1].skip: "identity" is not possible'),
        ({"colour": "red"}, "blocks[1].'colour' is an unknown field: the fields are expansion"),
    ],
)
def test_a_block_that_is_none_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_dict(described(**change))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "a network must be an object with blocks, head_channels, stem_channels, not null"),
        ([], "a network must be an object"),
        ({}, "blocks is missing"),
        ({**A1.to_dict(), "blocks": []}, "blocks: a network has 1 to 64 blocks, not 0"),
        ({**A1.to_dict(), "blocks": "x"}, 'blocks: "x" is not a list'),
        ({**A1.to_dict(), "blocks": [3]}, "blocks[0] must be an object with"),
        ({**A1.to_dict(), "blocks": [{}]}, "blocks[0].expansion is missing"),
        ({**A1.to_dict(), "blocks": [described()["blocks"][0]] * 65}, "blocks: a network has"),
        ({**A1.to_dict(), "stem_channels": 0}, "stem_channels: 0 is not a whole number from 1"),
        ({**A1.to_dict(), "head_channels": None}, "head_channels: null is not a"),
        ({**A1.to_dict(), "classes": 10}, "'classes' is an unknown field"),
        ({**A1.to_dict(), "id": "0123456789ab"}, 'id: "0123456789ab" is not this network\'s id'),
        (
            {**A1.to_dict(), "blocks": [asdict(Block("conv", 1, 3, 2, 0.0, "none", 8, 1))] * 8},
            "blocks[7].stride: at most 7 blocks",
        ),
    ],
)
def test_a_network_that_is_none_is_refused(value: object, message: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_dict(value)
    assert str(error.value).startswith(message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.data())
def test_any_change_is_refused_or_makes_a_network(data: st.DataObject) -> None:
    value = described()
    fields = [value, *value["blocks"]]
    for _ in range(data.draw(st.integers(1, 3))):
        field = data.draw(st.sampled_from(fields))
        name = data.draw(st.sampled_from(sorted(field)))
        field[name] = data.draw(json_values)
    try:
        architecture = Architecture.from_dict(value)
    except ArchitectureError:
        return
    assert kernels(architecture)


def test_equal_networks_have_equal_ids_however_they_are_spelled() -> None:
    assert Architecture.from_dict(described(se_ratio=0)).id == A1.id
    assert Architecture.from_dict(described(se_ratio=-0.0)).id == A1.id


@pytest.mark.parametrize(
    "network",
    [
        Architecture(3, (Block("conv", 1, 7, 1, 1.0, "none", 2, 3),), 5),
        Architecture(8, (Block("mbconv", 16, 31, 2, 0.3, "pool", 13, 2),), 2),
        Architecture(13, (Block("dconv", 1, 1, 2, 0.0, "none", 9, 1),) * 7, 100),
        Architecture(2, (Block("mbconv", 1, 9, 1, 1.0, "identity", 2, 1),), 16),
    ],
    ids=lambda network: network.id,
)
def test_what_is_read_is_exported_as_its_kernels_say(network: Architecture) -> None:
    assert Architecture.from_dict(network.to_dict()) == network
    deployment = Deployment(classes=10)
    module = build_network(network, classes=10, seed=0)
    program, _ = export_program(module, deployment.input_shape)
    assert kernels(network, deployment) == program.kernels
    assert not program.undelegated


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("[1, 2"), "does not hold an architecture"),
        (lambda path: path.write_text(""), "does not hold an architecture"),
        (lambda path: path.write_text("[" * 100_000), "does not hold an architecture"),
        (lambda path: path.write_text("9" * 10_000), "does not hold an architecture"),
        (lambda path: path.write_bytes(b'{"\xff": 1}'), "does not hold an architecture"),
        (lambda path: path.write_text(" " * (1 << 21)), "cannot read .*larger than"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot read .*not a regular file"),
        (make_pipe, "cannot read .*not a regular file"),
        (lambda path: path.mkdir(), "cannot read .*directory"),
        (lambda path: None, "cannot read .*No such file"),
        (lambda path: path.write_text('{"blocks": []}'), "net.json: head_channels is missing"),
        (
            lambda path: path.write_text(
                json.dumps(
                    {**described(), "blocks": [described(out_channels=8192)["blocks"][1]] * 3}
                )
            ),
            "net.json: the network has .* million parameters",
        ),
    ],
)
def test_a_file_that_holds_no_network_is_named(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "net.json"
    make(path)
    with pytest.raises(ArchitectureError, match=message) as error:
        read_architecture(path)
    assert str(path) in str(error.value)


def test_a_file_of_a_front_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(json.dumps(A1.to_dict(), indent=2))
    assert read_architecture(path) == A1
