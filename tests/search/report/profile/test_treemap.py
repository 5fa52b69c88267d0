from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.profiling.profile import Profile
from search.report.profile.squares import Box, squarified
from search.report.profile.treemap import (
    LINE_HEIGHT,
    MIN_SIDE,
    TEXT_MARGIN,
    Tile,
    cut,
    tiles,
    width,
)
from tests.search.report.profile.profiles import ORDINARY, profile, profiles, row, texts

AREA = Box(0.0, 0.0, 928.0, 460.0)
EPSILON = 1e-6


def leaves(drawn: list[Tile]) -> list[Tile]:
    return [tile for tile in drawn if tile.color != "group"]


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.x - EPSILON <= inner.x
        and outer.y - EPSILON <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + EPSILON
        and inner.y + inner.height <= outer.y + outer.height + EPSILON
    )


def overlap(a: Box, b: Box) -> bool:
    return (
        min(a.x + a.width, b.x + b.width) - max(a.x, b.x) > EPSILON
        and min(a.y + a.height, b.y + b.height) - max(a.y, b.y) > EPSILON
    )


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=30), st.booleans())
def test_parts_fill_the_box_in_proportion_and_do_not_overlap(
    values: list[float], is_tall: bool
) -> None:
    values = sorted(values, reverse=True)
    box = Box(10.0, 20.0, 300.0, 900.0) if is_tall else Box(10.0, 20.0, 900.0, 300.0)
    found = squarified(values, box)
    for value, part in zip(values, found, strict=True):
        assert part.width * part.height == pytest.approx(270_000 * value / sum(values), abs=1e-3)
        assert holds(box, part)
    assert not any(itertools.starmap(overlap, itertools.combinations(found, 2)))


def test_equal_parts_of_a_square_are_squares() -> None:
    found = squarified([1.0] * 4, Box(0.0, 0.0, 100.0, 100.0))
    assert {(part.width, part.height) for part in found} == {(50.0, 50.0)}


def test_a_value_too_small_for_a_share_has_a_box_that_nobody_sees() -> None:
    large, small = squarified([1e6, 5e-324], Box(0.0, 0.0, 100.0, 100.0))
    assert large.width * large.height == pytest.approx(1e4)
    assert small.width * small.height < EPSILON


def test_areas_are_shares_of_the_latency() -> None:
    drawn = list(tiles(ORDINARY, AREA))
    top = {tile.title.split(":")[0]: tile.box for tile in drawn if tile.title.count(".") <= 4}
    area = AREA.width * AREA.height
    for name, time_ns in (("layers", 2.9e6), ("stem.conv", 2.1e6), ("head", 4e5), ("rest", 1e5)):
        box = top[name]
        assert box.width * box.height == pytest.approx(area * time_ns / 5.5e6)


def test_groups_hold_their_modules_and_have_filters() -> None:
    drawn = {tile.title.split(":")[0]: tile for tile in tiles(ORDINARY, AREA)}
    group = drawn["layers"]
    assert group.color == "group"
    assert group.filter == "module:layers"
    assert group.rows == (3, 4, 5, 6)
    for name in ("layers.1", "layers.1.conv", "layers.1.shift", "layers.10.conv"):
        assert holds(group.box, drawn[name].box)
    assert drawn["layers.10.conv"].filter == "module:layers.10.conv"
    assert drawn["the network itself" if "the network itself" in drawn else "head"].rows


def test_kernels_of_a_module_that_holds_others_have_a_tile_of_their_own() -> None:
    drawn = [tile for tile in tiles(ORDINARY, AREA) if tile.rows == (4,)]
    [tile] = drawn
    assert tile.lines[0] == "add"
    assert tile.filter == ""  # the module's filter shows what lies below it as well


def test_without_modules_kernels_are_grouped_by_kind() -> None:
    foreign = replace(ORDINARY, rows=tuple(replace(r, source=None) for r in ORDINARY.rows))
    drawn = list(tiles(foreign, AREA))
    groups = {tile.filter: tile.rows for tile in drawn if tile.color == "group"}
    assert groups["kind:conv2d"] == (2, 3, 6)
    assert {tile.lines[0] for tile in leaves(drawn) if tile.rows == (2,)} == {"#2"}


def test_a_filter_of_several_words_is_quoted() -> None:
    spaced = profile(row("add", 1e6, 'my "own" layer'), row("add", 1e6, "b"))
    assert 'module:"my own layer"' in {tile.filter for tile in tiles(spaced, AREA)}


@given(profiles)
def test_every_kernel_that_can_be_seen_is_in_one_leaf_and_texts_fit(hostile: Profile) -> None:
    drawn = list(tiles(hostile, AREA))
    shown = [number for tile in leaves(drawn) for number in tile.rows]
    assert len(shown) == len(set(shown))
    assert set(shown) <= set(range(1, len(hostile.rows) + 1))
    assert not any(overlap(a.box, b.box) for a, b in itertools.combinations(leaves(drawn), 2))
    for tile in drawn:
        assert holds(AREA, tile.box)
        assert min(tile.box.width, tile.box.height) >= MIN_SIDE
        assert len(tile.lines) * LINE_HEIGHT <= tile.box.height
        for line in tile.lines:
            assert width(line) <= tile.box.width - 2 * TEXT_MARGIN


@given(texts, st.floats(0, 300))
def test_cut_texts_fit(text: str, room: float) -> None:
    short = cut(text, room)
    assert width(short) <= room
    assert short in (text, "") or (short.endswith("…") and text.startswith(short[:-1]))
