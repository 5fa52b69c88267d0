"""The runner alone, as a command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

INPUT = ("--input", "1x3x16x16")
SHORT = ("--warmup-runs", "2", "--warmup-ns", "0", "--timed-runs", "3", "--timed-ns", "0")
KERNELS = [
    "Transpose (ND, X32)",
    "Convolution (NHWC, F32) IGEMM",
    "Transpose (ND, X32)",
    "native_call_avg_pool2d.out",
    "Static Reshape (NC)",
    "Fully Connected (NC, F32) GEMM",
]


def call(runner: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([runner, *arguments], capture_output=True, timeout=60, check=False)
    assert done.stdout.count(b"\n") == 1, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def program_file(tmp_path: Path, program: bytes) -> str:
    path = tmp_path / "program.pte"
    path.write_bytes(program)
    return str(path)


def failure_of(runner: Path, program: Path, content: bytes) -> dict[str, str]:
    program.write_bytes(content)
    code, report = call(runner, "--program", str(program), *INPUT, *SHORT)
    assert code == 1
    assert list(report) == ["failure"]
    failure: dict[str, str] = report["failure"]
    return failure


def test_reports_every_timed_run(runner: Path, program_file: str) -> None:
    code, report = call(runner, "--program", program_file, *INPUT, *SHORT, "--cpus", "0")
    assert code == 0
    assert report["warmup_runs"] == 2
    for series in ("wall_ns", "cpu_ns", "involuntary_switches"):
        assert len(report[series]) == 3
    assert min(report["wall_ns"]) > 0
    assert report["peak_rss_bytes"] > 0
    for probes in (report["probes_before"], report["probes_after"]):
        assert min(probes["arithmetic_ns"], probes["memory_ns"]) > 0
    assert report["kernels"] == []


def test_a_cap_beats_every_floor(runner: Path, program_file: str) -> None:
    floors = ("--warmup-runs", "9", "--timed-runs", "9", "--timed-ns", "60000000000")
    _, report = call(runner, "--program", program_file, *INPUT, *floors, "--max-timed-runs", "4")
    assert report["warmup_runs"] == 4
    assert len(report["wall_ns"]) == 4


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_trace_holds_each_node_of_the_graph_once(
    runner: Path, program_file: str, threads: str
) -> None:
    _, report = call(
        runner, "--program", program_file, *INPUT, *SHORT, "--traced", "--threads", threads
    )
    assert [kernel["name"].split(" #")[0] for kernel in report["kernels"]] == KERNELS
    assert {len(kernel["ns"]) for kernel in report["kernels"]} == {len(report["wall_ns"])}
    runs = zip(*(kernel["ns"] for kernel in report["kernels"]), report["wall_ns"], strict=True)
    assert all(0 < sum(kernels) <= run for *kernels, run in runs)


def test_kernels_are_timed_in_nanoseconds_although_the_backend_counts_microseconds(
    runner: Path, program_file: str
) -> None:
    _, report = call(runner, "--program", program_file, *INPUT, *SHORT, "--traced")
    delegated = [each for each in report["kernels"] if not each["name"].startswith("native_call")]
    assert all(any(ns % 1_000 for ns in each["ns"]) for each in delegated)


@pytest.mark.parametrize("shapes", [["1x3x16x15"], ["3x16x16"], [], ["1x3x16x16", "1"]])
def test_a_shape_that_the_program_does_not_take(
    runner: Path, program_file: str, shapes: list[str]
) -> None:
    inputs = [word for shape in shapes for word in ("--input", shape)]
    code, report = call(runner, "--program", program_file, *inputs, *SHORT)
    assert code == 1
    assert report["failure"]["kind"] == "bad_input"
    if len(shapes) == 1:
        assert "1x3x16x16" in report["failure"]["message"]
        assert shapes[0] in report["failure"]["message"]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_not_a_program(
    runner: Path, program: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = data.draw(
        st.binary(max_size=300)
        | st.integers(0, len(program) - 1).map(lambda size: program[:size])
        | st.binary(min_size=100, max_size=300).map(lambda tail: program[:8] + tail)
    )
    path = tmp_path_factory.mktemp("garbage") / "program.pte"
    assert failure_of(runner, path, content)["kind"] == "not_a_program"


@pytest.mark.parametrize("name", [b"aten::avg_pool2d", b"XnnpackBackend"])
def test_an_operator_or_backend_that_is_missing_is_named(
    runner: Path, program: bytes, tmp_path: Path, name: bytes
) -> None:
    missing = b"m" + name[1:]
    failure = failure_of(runner, tmp_path / "program.pte", program.replace(name, missing))
    assert failure["kind"] == "unsupported"
    assert missing.decode() in failure["message"]


@pytest.mark.parametrize(
    "arguments", [["--program"], ["--bogus", "1"], ["--input", "1xx"], ["--threads", "0"], []]
)
def test_a_wrong_command_line(runner: Path, arguments: list[str]) -> None:
    done = subprocess.run([runner, *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr
