"""The bounds of the results that are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from device_agent import results as results_module
from device_agent.results import ResultStore
from latlab.v1.common_pb2 import Visit
from latlab.v1.device_agent_pb2 import RunResponse

RESPONSE = RunResponse(visit=Visit(wall_ns=[1]))


def test_results_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "MAX_RESULTS", 3)
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
