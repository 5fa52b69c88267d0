from __future__ import annotations

import pytest
from rich.table import Table

from latlab.profiling.groups import Grouping
from search.cli.profile.tables import View, differences_table, profile_table
from tests.latlab.profiling.made_profiles import profile, row


def cells(table: Table, column: int) -> list[str]:
    return [str(cell) for cell in table.columns[column].cells]


def test_a_kernel_in_two_precisions_is_one_and_one_that_changed_is_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    first = profile([row("add", 9e6), row("conv2d", 5e6, "a"), row("clamp", 1e6)])
    second = profile(
        [row("add", 1e6, dtype="qint8"), row("conv2d", 6e6, "a", channels=16), row("sigmoid", 2e6)]
    )
    table = differences_table(first, second, ["fp32", "a name that is far too long"], View())
    assert cells(table, 0)[:4] == [
        "add 4x4x8",
        "+ sigmoid 4x4x8",
        "conv2d 1x1 8 at 4x4\n=> conv2d 1x1 16 at 4x4",
        "- clamp 4x4x8",
    ]
    assert cells(table, 3)[:4] == ["-8.00 ms", "+2.00 ms", "+1.00 ms", "-1.00 ms"]
    assert cells(table, 5)[2] == "a"
    assert [str(column.header) for column in table.columns[1:3]] == [
        "fp32",
        f"…{'a name that is far too long'[-19:]}",
    ]
    by_kind = differences_table(first, second, ["fp32", "int8"], View(Grouping.KIND))
    assert cells(by_kind, 0) == [
        "add",
        "sigmoid",
        "conv2d",
        "clamp",
        "rest: outside all kernels",
        "latency",
    ]
    assert cells(by_kind, 3)[-1] == "-6.00 ms"


def test_only_networks_that_run_in_both_places_say_where() -> None:
    everywhere = profile_table(profile([row("add", 1e6), row("portable:erf", 1e6)]), View())
    assert cells(everywhere, 4)[:2] == ["delegate", "portable"]
    delegated = profile_table(profile([row("add", 1e6)]), View())
    assert len(delegated.columns) == 4
    assert delegated.caption == "All kernels run in the delegate."
