"""Programs of float16 and int8."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision, left_in_float
from latlab.domain.program import TensorSpec
from latlab.export import export_program
from latlab.export.execution import running
from latlab.export.execution.checking import disagreement

SHAPE = (1, 3, 8, 8)


class Gated(nn.Module):
    """Softmax stays in float in an int8 program."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Linear(8, 5)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        x = self.norm(self.first(x)).mean((2, 3))
        out: Tensor = self.last(x * torch.softmax(x, 1)) * scale
        return out


INPUTS = (SHAPE, TensorSpec((1,), "int64", 1, 3))


def test_fp16_has_half_inputs_and_computes_about_the_same() -> None:
    module = Gated().eval()
    program, data = export_program(module, INPUTS, Precision.FP16)
    assert program.inputs == (TensorSpec(SHAPE, "float16"), TensorSpec((1,), "int64", 1, 3))
    assert "float16" in {kernel.dtype for kernel in program.kernels if kernel.kind == "conv2d"}
    assert module.first.weight.dtype == torch.float32
    x, scale = torch.randn(SHAPE).half(), torch.tensor([2])
    with torch.no_grad():
        expected = module(x.float(), scale).half()
    assert disagreement(running.results(data, x, scale), [expected], 1e-2) is None


class OnlyFloat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float16 and not torch.compiler.is_compiling():
            raise RuntimeError("not implemented for 'Half'")
        return torch.tanh(x)


def test_what_does_not_run_in_half_is_compared_with_float() -> None:
    program, _ = export_program(OnlyFloat(), SHAPE, Precision.FP16)
    assert program.inputs == (TensorSpec(SHAPE, "float16"),)


def test_int8_says_what_it_was_calibrated_on_and_what_stays_in_float() -> None:
    program, _ = export_program(Gated().eval(), INPUTS, Precision.INT8)
    assert program.exporter.endswith(", calibrated on 4 random inputs")
    assert "softmax" in left_in_float(program.kernels)
    assert "conv2d" not in left_in_float(program.kernels)
    assert program.inputs == (TensorSpec(SHAPE), TensorSpec((1,), "int64", 1, 3))


def test_calibration_of_another_shape_is_refused() -> None:
    with pytest.raises(ExportError, match=r"calibration is \(1, 3, 4, 4\) in float32, and .* same"):
        export_program(nn.Conv2d(3, 4, 3), SHAPE, Precision.INT8, [torch.zeros(1, 3, 4, 4)])
