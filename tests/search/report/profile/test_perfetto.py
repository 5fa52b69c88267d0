from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given

from latlab.profiling.profile import Profile
from search.report.profile.perfetto import TRACKS, trace
from tests.search.report.profile.profiles import ORDINARY, profile, profiles, row


@dataclass
class Nested:
    """A slice as Perfetto reads it: in ns, with the slices inside it."""

    name: str
    begin_ns: int
    end_ns: int
    inside: list[Nested]


def events(text: str, phase: str) -> list[dict[str, Any]]:
    return [event for event in json.loads(text)["traceEvents"] if event["ph"] == phase]


def track(text: str, name: str) -> list[Nested]:
    """Nest a track's slices as Perfetto does; fail where a slice overlaps one beside it."""
    root = Nested("", 0, 2**62, [])
    stack = [root]
    found = [e for e in events(text, "X") if TRACKS[e["tid"]] == name]
    for event in sorted(found, key=lambda e: round(e["ts"] * 1000)):  # stable, as Perfetto's
        begin_ns = round(event["ts"] * 1000)
        each = Nested(event["name"], begin_ns, begin_ns + round(event["dur"] * 1000), [])
        while stack[-1].end_ns <= each.begin_ns and stack[-1] is not root:
            stack.pop()
        assert each.end_ns <= stack[-1].end_ns
        stack[-1].inside.append(each)
        stack.append(each)
    return root.inside


def names(slices: Iterable[Nested]) -> list[Any]:
    return [(each.name, names(each.inside)) if each.inside else each.name for each in slices]


def check_schema(text: str) -> None:
    """Check what the trace event format demands of the events that are used."""
    whole = json.loads(text)
    assert whole["displayTimeUnit"] in ("ms", "ns")
    assert isinstance(whole["otherData"], dict)
    for event in whole["traceEvents"]:
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert isinstance(event["name"], str)
        assert isinstance(event["args"], dict)
        assert event["ph"] in ("X", "M")
        if event["ph"] == "X":
            assert isinstance(event["cat"], str)
            assert event["ts"] >= 0
            assert event["dur"] >= 0
        else:
            key = {"thread_sort_index": "sort_index"}.get(event["name"], "name")
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            assert set(event["args"]) == {key}
    used = {event["tid"] for event in whole["traceEvents"] if event["ph"] == "X"}
    named = [e["tid"] for e in whole["traceEvents"] if e["name"] == "thread_name"]
    assert sorted(named) == sorted(used)


def test_kernels_follow_one_another_with_their_times() -> None:
    text = trace(ORDINARY)
    check_schema(text)
    kernels = track(text, "kernels")
    times_ns = [each.time_ns for each in ORDINARY.rows]
    assert [each.end_ns - each.begin_ns for each in kernels] == [*times_ns, 1e5]
    assert [each.begin_ns for each in kernels[1:]] == [each.end_ns for each in kernels[:-1]]
    assert names(kernels)[-1] == "rest"
    [run] = track(text, "run")
    assert run.end_ns == ORDINARY.latency.time_ns
    first = next(e for e in events(text, "X") if TRACKS[e["tid"]] == "kernels")
    assert first["args"]["module"] == "stem.conv"
    assert first["args"]["line"] == "nets/net.py:12"
    assert first["args"]["runs in"] == "delegate"


def test_modules_are_nested() -> None:
    assert names(track(trace(ORDINARY), "modules")) == [
        ("stem", ["conv"]),
        ("layers", [("1", ["conv", "shift"]), ("10", ["conv"])]),
        "the network itself",
        "head",
    ]


def test_delegate_calls_and_portable_operators_have_a_track() -> None:
    calls = track(trace(ORDINARY), "delegate calls and operators")
    assert names(calls) == ["delegate call 0", "portable:aten::roll", "delegate call 2"]
    assert [each.end_ns - each.begin_ns for each in calls] == [3.4e6, 7e5, 1.3e6]


def test_tracks_of_which_nothing_is_known_are_left_out() -> None:
    bare = profile(row("add", 1e6), rest_ns=-1e3)
    text = trace(bare)
    check_schema(text)
    shown = {TRACKS[event["tid"]] for event in events(text, "X")}
    assert shown == {"run", "kernels"}
    assert names(track(text, "kernels")) == ["add"]


def test_a_trace_says_whether_its_times_are_predicted() -> None:
    assert json.loads(trace(ORDINARY))["otherData"]["times"] == "measured"
    predicted = trace(replace(ORDINARY, is_predicted=True))
    assert json.loads(predicted)["otherData"]["times"] == "predicted"


@given(profiles)
def test_any_profile_gives_a_trace_whose_slices_nest(hostile: Profile) -> None:
    text = trace(hostile)
    assert text == trace(replace(hostile))
    check_schema(text)
    json.dumps(json.loads(text), ensure_ascii=False).encode()  # no half characters
    flat = {name: track(text, name) for name in TRACKS.values()}
    for name in ("run", "delegate calls and operators", "kernels"):
        assert not any(each.inside for each in flat[name] if each.end_ns > each.begin_ns)
    kernels = [each for each in flat["kernels"] if each.name != "rest"]
    total_ns = sum(max(each.time_ns, 0.0) for each in hostile.rows)
    drawn_ns = sum(each.end_ns - each.begin_ns for each in kernels)
    assert drawn_ns == pytest.approx(total_ns, abs=1.0)
