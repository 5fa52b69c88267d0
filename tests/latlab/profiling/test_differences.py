from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.profiling.differences import change, differences, group_differences
from latlab.profiling.document import comparison_document, profile_document
from latlab.profiling.groups import Grouping
from latlab.profiling.profile import ProfileRow, Span
from tests.latlab.profiling.made_profiles import profile, row

ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["conv2d", "add", "clamp"]),
        st.floats(1, 1e6),
        st.sampled_from([None, "a", "b", "c.d"]),
        st.integers(1, 3),
        st.sampled_from(["float32", "qint8"]),
    ),
    max_size=15,
)


@given(ROWS, ROWS)
def test_each_kernel_of_both_is_in_one_place_and_the_changes_add_up(
    first: list[ProfileRow], second: list[ProfileRow]
) -> None:
    a, b = profile(first), profile(second)
    found = differences(first, second)
    assert sorted(id(each.first) for each in found if each.first) == sorted(map(id, first))
    assert sorted(id(each.second) for each in found if each.second) == sorted(map(id, second))
    changes_ns = [each.change.time_ns for each in found]
    assert sum(changes_ns) == pytest.approx(b.latency.time_ns - a.latency.time_ns, abs=1e-3)
    assert [abs(ns) for ns in changes_ns] == sorted(map(abs, changes_ns), reverse=True)
    for each in found:
        assert each.change.lower_ns <= each.change.time_ns <= each.change.upper_ns
        assert (
            each.first is None
            or each.second is None
            or (each.first.kernel.kind == each.second.kernel.kind)
        )
    for grouping in Grouping:
        grouped = group_differences(a, b, grouping)
        assert sum(each.change_ns for each in grouped) == pytest.approx(sum(changes_ns), abs=1e-3)


@given(ROWS)
def test_a_network_does_not_differ_from_itself_in_another_precision(
    rows: list[ProfileRow],
) -> None:
    modules = [each.source.module if each.source else None for each in rows]
    located = list(zip(rows, modules, strict=True))
    others = [row(each.kernel.kind, 2 * each.time_ns, at, 8, "qint8") for each, at in located]
    same = [row(each.kernel.kind, each.time_ns, at, 8) for each, at in located]
    found = differences(same, others)
    assert {(id(each.first), id(each.second)) for each in found} == {
        (id(a), id(b)) for a, b in zip(same, others, strict=True)
    }
    kinds = {each.name for each in group_differences(profile(same), profile(others), Grouping.KIND)}
    assert kinds == {each.kernel.kind for each in rows}


def test_a_kernel_that_grew_is_matched_by_its_module_and_a_new_one_stands_alone() -> None:
    first = [row("conv2d", 10, "a"), row("add", 1, "b"), row("conv2d", 5, "c")]
    second = [
        row("conv2d", 10, "a"),
        row("clamp", 2, "new"),
        row("add", 1, "b"),
        row("conv2d", 9, "c", channels=16),
    ]
    found = differences(first, second)
    assert [(each.first, each.second) for each in found[:2]] == [
        (first[2], second[3]),
        (None, second[1]),
    ]
    assert [each.change.time_ns for each in found] == [4, 2, 0, 0]


def test_the_interval_of_a_change_holds_the_errors_of_both() -> None:
    assert change(Span(10, 7, 14), Span(20, 17, 24)) == Span(10, 5, 15)


def test_documents_are_json_and_name_what_belongs_together() -> None:
    first = profile([row("conv2d", 10, "a"), row("portable:erf", 1)], rest_ns=1)
    second = profile([row("conv2d", 30, "a")])
    document = json.loads(json.dumps(comparison_document(first, second)))
    assert document["first"] == json.loads(json.dumps(profile_document(first)))
    assert [(each["first"], each["second"]) for each in document["differences"]] == [
        (0, 0),
        (1, None),
    ]
    conv, erf = document["first"]["rows"]
    assert (conv["place"], erf["place"]) == ("delegate", "portable")
    assert conv["share"] == pytest.approx(10 / 12)
    assert conv["source"]["module"] == "a"
    hidden = profile_document(first.without_sources())
    assert [each["source"] for each in hidden["rows"]] == [None, None]
