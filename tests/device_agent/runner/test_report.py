"""What the runner prints is checked: positive times, parallel series, bounded sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.runner_report import MAX_MESSAGE_CHARS, MAX_NAME_CHARS, read_report
from latlab.v1 import common_pb2
from latlab.v1.common_pb2 import Failure, Visit
from tests.device_agent.agent_process import spec

SPEC = spec(traced=True)
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def report() -> dict[str, Any]:
    probes = {"arithmetic_ns": 5, "memory_ns": 6}
    return {
        "wall_ns": [3, 1, 2],
        "cpu_ns": [3, 0, 2],
        "involuntary_switches": [0, 0, 1],
        "warmup_runs": 2,
        "load_ns": 7,
        "first_run_ns": 9,
        "planned_bytes": 0,
        "peak_rss_bytes": 11,
        "probes_before": dict(probes),
        "probes_after": dict(probes),
        "kernels": [{"name": "add", "instruction": 0, "ns": [0, 1, 0]}],
    }


def read(value: object, returncode: int = 0) -> Visit | Failure:
    return read_report(json.dumps(value).encode(), returncode, SPEC)


def test_a_report_is_a_visit() -> None:
    visit = read(report())
    assert isinstance(visit, Visit)
    assert list(visit.wall_ns) == [3, 1, 2]
    assert visit.first_run_ns == 9
    assert visit.HasField("planned_bytes")
    assert visit.kernel_traces[0].HasField("instruction")


@pytest.mark.parametrize("name", ["first_run_ns", "planned_bytes", "peak_rss_bytes"])
def test_what_the_runner_does_not_know_is_absent(name: str) -> None:
    for unknown in (report() | {name: None}, {k: v for k, v in report().items() if k != name}):
        visit = read(unknown)
        assert isinstance(visit, Visit)
        assert not visit.HasField(name)  # type: ignore[arg-type]


def _set(*path: str | int) -> Callable[[dict[str, Any], object], None]:
    def change(value: dict[str, Any], new: object) -> None:
        place: Any = value
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = new

    return change


@pytest.mark.parametrize("bad", [-1, 2**63, 2**64, 10**30, 1.0, 0.5, "1", True, [1], {}])
@pytest.mark.parametrize(
    "path",
    [
        *(("wall_ns", 1), ("cpu_ns", 0), ("involuntary_switches", 2), ("warmup_runs",)),
        *(("load_ns",), ("first_run_ns",), ("planned_bytes",), ("peak_rss_bytes",)),
        *(("probes_before", "arithmetic_ns"), ("probes_after", "memory_ns")),
        *(("kernels", 0, "ns", 1), ("kernels", 0, "instruction")),
    ],
)
def test_a_number_that_is_none_is_refused(path: tuple[str | int, ...], bad: object) -> None:
    value = report()
    _set(*path)(value, bad)
    with pytest.raises(NONSENSE):
        read(value)


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (("wall_ns", 0), 0),
        (("load_ns",), 0),
        (("first_run_ns",), 0),
        (("peak_rss_bytes",), 0),
        (("probes_before", "memory_ns"), 0),
        (("wall_ns",), []),
        (("wall_ns",), [1] * 6),
        (("cpu_ns",), [1, 1]),
        (("warmup_runs",), 6),
        (("kernels", 0, "ns"), [1, 1]),
        (("kernels", 0, "name"), "x" * (MAX_NAME_CHARS + 1)),
        (("kernels", 0, "name"), 5),
        (("kernels",), None),
    ],
)
def test_a_report_that_cannot_be_is_refused(path: tuple[str | int, ...], bad: object) -> None:
    value = report()
    _set(*path)(value, bad)
    with pytest.raises(NONSENSE):
        read(value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_what_is_no_number_is_refused(constant: str) -> None:
    text = json.dumps(report()).replace('"load_ns": 7', f'"load_ns": {constant}')
    with pytest.raises(NONSENSE):
        read_report(text.encode(), 0, SPEC)


def test_kernels_of_an_untraced_visit_are_refused() -> None:
    with pytest.raises(ValueError, match="not traced"):
        read_report(json.dumps(report()).encode(), 0, spec())


def test_a_visit_and_an_exit_code_that_says_otherwise() -> None:
    with pytest.raises(ValueError, match="exit code"):
        read(report(), returncode=1)


def test_a_failure_is_cut_to_a_size() -> None:
    told = read({"failure": {"kind": "unsupported", "message": "x" * 10**6}}, returncode=1)
    assert isinstance(told, Failure)
    assert told.kind == common_pb2.FAILURE_KIND_UNSUPPORTED
    assert len(told.message) == MAX_MESSAGE_CHARS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=5,
)


@given(data=st.data())
def test_any_other_report_is_refused_or_a_whole_visit(data: st.DataObject) -> None:
    value = report()
    for name in data.draw(st.lists(st.sampled_from(sorted(value)), max_size=2, unique=True)):
        value[name] = data.draw(anything)
    try:
        visit = read(value)
    except NONSENSE:
        return
    assert isinstance(visit, Visit)
    assert min(visit.wall_ns) > 0
    lengths = {len(visit.wall_ns), len(visit.cpu_ns), len(visit.involuntary_switches)}
    assert len(lengths | {len(trace.durations_ns) for trace in visit.kernel_traces}) == 1
