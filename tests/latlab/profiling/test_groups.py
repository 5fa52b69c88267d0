from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.profiling.groups import (
    MOST_MODULES,
    NETWORK_ITSELF,
    UNKNOWN,
    Grouping,
    groups,
    module_depth,
)
from latlab.profiling.profile import ProfileRow
from tests.latlab.profiling.made_profiles import row

MODULES = st.none() | st.lists(st.sampled_from("abc"), max_size=4).map(".".join)
ROWS = st.lists(
    st.builds(row, st.sampled_from(["conv2d", "add"]), st.floats(0, 1e9), MODULES), max_size=30
)


@given(ROWS, st.sampled_from(Grouping), st.none() | st.integers(1, 5))
def test_groups_hold_each_kernel_once_and_the_slowest_comes_first(
    rows: list[ProfileRow], grouping: Grouping, depth: int | None
) -> None:
    found = groups(rows, grouping, depth)
    assert sum(len(group.rows) for group in found) == len(rows)
    assert len({group.name for group in found}) == len(found)
    times_ns = [group.time_ns for group in found]
    assert times_ns == sorted(times_ns, reverse=True)
    assert sum(times_ns) == pytest.approx(sum(row.time_ns for row in rows))


def test_modules_are_grouped_by_the_beginning_of_their_paths() -> None:
    rows = [row("conv2d", 3, "stem"), row("conv2d", 2, "blocks.0.conv"), row("add", 2, "blocks.1")]
    by_depth = {
        depth: [(group.name, group.time_ns) for group in groups(rows, Grouping.MODULE, depth)]
        for depth in (1, 2, None)
    }
    assert by_depth[1] == [("blocks", 4), ("stem", 3)]
    assert by_depth[2] == [("stem", 3), ("blocks.0", 2), ("blocks.1", 2)]
    assert by_depth[None] == [("stem", 3), ("blocks.0.conv", 2), ("blocks.1", 2)]


def test_kernels_without_a_source_and_those_of_the_network_itself_are_named() -> None:
    rows = [row("conv2d", 3), row("int8 conv2d", 2, "")]
    assert [group.name for group in groups(rows, Grouping.MODULE)] == [UNKNOWN, NETWORK_ITSELF]
    assert [group.name for group in groups(rows, Grouping.LINE)] == [UNKNOWN, "net.py:1"]


def test_a_kind_has_its_precision() -> None:
    rows = [row("conv2d", 3), row("conv2d", 2, dtype="qint8")]
    assert [group.name for group in groups(rows, Grouping.KIND)] == ["conv2d", "int8 conv2d"]


def test_the_depth_gives_as_many_modules_as_a_table_has_room_for() -> None:
    assert module_depth([]) == 1
    assert module_depth([row("add", 1), row("add", 1, "a.b.c")]) == 3
    blocks = [row("add", 1, f"blocks.{i}.{part}") for i in range(MOST_MODULES) for part in "ab"]
    assert module_depth(blocks) == 2
    many = [row("add", 1, f"block{i}") for i in range(MOST_MODULES + 1)]
    assert module_depth(many) == 1
