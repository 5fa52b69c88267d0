"""Programs of every dtype and kind of operator, through the real runner."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device_agent import odd_programs
from tests.device_agent.test_runner import SHORT, call


def run(
    runner: Path, folder: Path, program: bytes, *inputs: str, options: tuple[str, ...] = ()
) -> dict[str, Any]:
    path = folder / "program.pte"
    path.write_bytes(program)
    words = [word for spec in inputs for word in ("--input", spec)]
    return call(runner, "--program", str(path), *words, *SHORT, *options)[1]


@pytest.mark.parametrize("name", odd_programs.RUNNABLE)
def test_it_runs(runner: Path, tmp_path: Path, name: str) -> None:
    make, inputs = odd_programs.RUNNABLE[name]
    report = run(runner, tmp_path, make(), *inputs, options=("--traced",))
    assert len(report["wall_ns"]) == 3, report
    assert min(report["wall_ns"]) > 0


def traced_kernels(
    runner: Path, folder: Path, make: Callable[[], bytes], inputs: tuple[str, ...]
) -> list[str]:
    report = run(runner, folder, make(), *inputs, options=("--traced",))
    return [kernel["name"] for kernel in report["kernels"]]


def test_int8_runs_in_the_delegate_and_in_int8(runner: Path, tmp_path: Path) -> None:
    names = traced_kernels(runner, tmp_path, odd_programs.int8, ("1x3x16x16",))
    assert not [name for name in names if name.startswith("native_call_")]
    assert any(name.startswith("Convolution (NHWC, QC8)") for name in names), names


def test_weights_that_are_quantized_on_the_fly(runner: Path, tmp_path: Path) -> None:
    names = traced_kernels(runner, tmp_path, odd_programs.dynamically_quantized, ("1x64",))
    # XNNPACK takes unsigned inputs (QDU8) where the processor multiplies these faster.
    assert any(re.search("QDU?8, F32, QC8W", name) for name in names), names


def test_quantized_operators_outside_the_delegate(runner: Path, tmp_path: Path) -> None:
    names = traced_kernels(runner, tmp_path, odd_programs.quantized_operators, ("1x64",))
    assert {"native_call_quantize_per_tensor.out", "native_call_dequantize_per_channel.out"} < {
        *names
    }


def test_each_operator_outside_the_delegate_is_traced(runner: Path, tmp_path: Path) -> None:
    report = run(runner, tmp_path, odd_programs.portable(), "1x32", "1x32", options=("--traced",))
    names = [kernel["name"] for kernel in report["kernels"]]
    assert {"native_call_topk.values", "native_call_cumsum.out", "native_call_erf.out"} < {*names}
    instructions = [kernel["instruction"] for kernel in report["kernels"]]
    assert instructions == sorted(set(instructions))


def test_an_operator_that_is_not_linked_is_named(runner: Path, tmp_path: Path) -> None:
    failure = run(runner, tmp_path, odd_programs.unlinked(), "1x32")["failure"]
    assert failure["kind"] == "unsupported"
    assert "aten::sort.values" in failure["message"]


@pytest.mark.parametrize(
    ("make", "inputs", "told"),
    [
        (odd_programs.float64, ("2x3",), "input 0 of the program is 2x3 of float64"),
        (odd_programs.with_a_number, ("2x3", ":int64"), "input 1 of the program is an int"),
        (
            odd_programs.tokens,
            ("1x16", "1x16:bool"),
            "input 0 of the program is 1x16 of int64, not 1x16 of float32",
        ),
        (
            odd_programs.tokens,
            ("1x16:int64", "1x15:bool"),
            "input 1 of the program is 1x16 of bool, not 1x15 of bool",
        ),
        (odd_programs.tokens, ("1x16:int64",), "takes 2 inputs, not 1"),
        (odd_programs.dynamic, ("17x8",), "is 16x8 of float32, not 17x8 of float32"),
        (odd_programs.dynamic, ("4x7",), "is 16x8 of float32, not 4x7 of float32"),
    ],
)
def test_an_input_that_cannot_be_filled_is_named(
    runner: Path, tmp_path: Path, make: Callable[[], bytes], inputs: tuple[str, ...], told: str
) -> None:
    failure = run(runner, tmp_path, make(), *inputs)["failure"]
    assert failure["kind"] == "bad_input"
    assert told in failure["message"]


def test_token_ids_that_an_embedding_lacks_are_an_error_of_the_run(
    runner: Path, tmp_path: Path
) -> None:
    program = odd_programs.tokens()
    failure = run(runner, tmp_path, program, "1x16:int64:0..30521", "1x16:bool")["failure"]
    assert failure["kind"] == "execution_error"
    assert "1000" in failure["message"]


@pytest.mark.parametrize(
    "spec",
    ["1x3:float64", "1x3:int64:1", "1x3:int64:2..1", "1x3:int8:0..128", "1x3:float32:0..1", "-1"],
)
def test_a_wrong_input_on_the_command_line(runner: Path, spec: str) -> None:
    done = subprocess.run(
        [runner, "--program", "none", "--input", spec], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "--input" in done.stderr.decode()
