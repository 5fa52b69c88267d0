"""The bounds of what is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent import store
from device_agent.errors import Refused
from device_agent.store import ProgramStore, ResultStore, replacing
from latlab.v1.common_pb2 import Visit
from latlab.v1.device_agent_pb2 import ProgramHeader, RunResponse
from tests.device_agent.agent_process import sha256

RESPONSE = RunResponse(visit=Visit(wall_ns=[1]))


def put(programs: ProgramStore, program: bytes) -> None:
    programs.receive(ProgramHeader(sha256=sha256(program), size_bytes=len(program)), [program])


def holds(programs: ProgramStore, program: bytes) -> bool:
    try:
        return programs.path(sha256(program)).read_bytes() == program
    except Refused:
        return False


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_the_total_keeps_its_limit_and_the_newest_program_stays(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("programs")
    programs = ProgramStore(directory, max_program_bytes=40, max_total_bytes=100)
    for index, size in enumerate(sizes):
        program = index.to_bytes(1, "big") * size
        put(programs, program)
        assert holds(programs, program)
        assert sum(path.stat().st_size for path in directory.iterdir()) <= 100


def test_the_program_used_least_recently_goes_first(tmp_path: Path) -> None:
    programs = ProgramStore(tmp_path, max_program_bytes=40, max_total_bytes=100)
    for program in (b"a" * 40, b"b" * 40):
        put(programs, program)
    os.utime(tmp_path / sha256(b"a" * 40), ns=(1, 1))
    os.utime(tmp_path / sha256(b"b" * 40), ns=(2, 2))
    assert holds(programs, b"a" * 40)  # used just now
    put(programs, b"c" * 40)
    assert holds(programs, b"a" * 40)
    assert not holds(programs, b"b" * 40)


def test_results_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_RESULTS", 3)
    results = ResultStore(tmp_path)
    for index in range(5):
        results.put(f"run-{index}", RESPONSE)
        os.utime(tmp_path / f"run-{index}", ns=(0, time.time_ns() - 1_000_000_000 * (9 - index)))
    kept = [index for index in range(5) if results.get(f"run-{index}") == RESPONSE]
    assert kept == [2, 3, 4]


def test_a_clock_that_jumps_costs_no_result(tmp_path: Path) -> None:
    results = ResultStore(tmp_path)
    results.put("of-1970", RESPONSE)
    os.utime(tmp_path / "of-1970", ns=(0, 0))
    results.put("today", RESPONSE)
    assert results.get("of-1970") == results.get("today") == RESPONSE


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def replace(content: bytes, fault: Exception | None = None) -> None:
        with replacing(path) as file:
            file.write(content)
            if fault is not None:
                raise fault

    replace(b"old")
    with pytest.raises(KeyError):
        replace(b"half of the n", KeyError())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    replace(b"new")
    assert path.read_bytes() == b"new"
