"""What the runner reports of memory, and the limit that it lays on itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.device_agent import odd_programs
from tests.device_agent.runner.test_inputs import run
from tests.device_agent.test_runner import SHORT, call

MIB = 1 << 20


def peak_bytes(runner: Path, folder: Path, program: bytes, shape: str) -> int:
    return int(run(runner, folder, program, shape)["peak_rss_bytes"])


def test_the_peak_is_not_the_starters(runner: Path, tmp_path: Path, program: bytes) -> None:
    """An exec carries the starter's peak over to getrusage's ru_maxrss."""
    ballast = bytearray(b"x") * (300 * MIB)
    assert peak_bytes(runner, tmp_path, program, "1x3x16x16") < 60 * MIB
    assert len(ballast) == 300 * MIB


def test_the_peak_holds_the_program_and_what_the_backend_packs(
    runner: Path, tmp_path: Path, program: bytes, wide_program: bytes
) -> None:
    small = peak_bytes(runner, tmp_path, program, "1x3x16x16")
    wide = peak_bytes(runner, tmp_path, wide_program, "1x4096")
    assert 120 * MIB < wide - small < 140 * MIB  # 64 MiB of weights, twice


def test_planned_memory_is_what_the_program_asks_for(runner: Path, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(8, 256), nn.Linear(256, 8))
    lowered = odd_programs.lower(network, (torch.zeros(4, 8),), delegated=False)
    [plan] = lowered.executorch_program.execution_plan
    report = run(runner, tmp_path, bytes(lowered.buffer), "4x8")
    assert report["planned_bytes"] == sum(plan.non_const_buffer_sizes) > 4 * 256 * 4


def test_the_first_run_is_told_apart(runner: Path, tmp_path: Path, program: bytes) -> None:
    report = run(runner, tmp_path, program, "1x3x16x16")
    assert report["first_run_ns"] > 0
    assert report["load_ns"] > 0
    cold = run(runner, tmp_path, program, "1x3x16x16", options=("--warmup-runs", "0"))
    assert cold["warmup_runs"] == 0
    assert cold["first_run_ns"] == cold["wall_ns"][0]


@pytest.mark.parametrize("limit_bytes", [1 * MIB, 100 * MIB])
def test_its_own_limit_holds_from_the_start(
    runner: Path, tmp_path: Path, wide_program: bytes, limit_bytes: int
) -> None:
    limit = ("--memory-bytes", str(limit_bytes))
    failure = run(runner, tmp_path, wide_program, "1x4096", options=limit)["failure"]
    assert failure["kind"] == "out_of_memory"


def test_what_is_no_file_is_no_program(runner: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pte").touch()
    for path, told in (
        (tmp_path, "regular file"),
        (tmp_path / "empty.pte", "empty"),
        (tmp_path / "absent.pte", "No such file"),
        (Path("/dev/zero"), "regular file"),
    ):
        _, report = call(runner, "--program", str(path), "--input", "1", *SHORT)
        assert report["failure"]["kind"] == "not_a_program"
        assert told in report["failure"]["message"]
