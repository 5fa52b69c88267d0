"""What cannot be exported says which part is to blame, where it is, and what to try."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision
from latlab.export import export_program
from latlab.export.execution import running, weights
from latlab.export.execution.checking import disagreement

SHAPE = (2, 8)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Network(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 8), Function(function))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.sort(x)[0], r"sort.*in layers\.1 at .*test_refusals.py:\d+"),
        (
            lambda x: torch.nonzero(x)[:3],
            r"data-dependent .*in layers\.1 at .*test_refusals.py:\d+\): choose with torch.where",
        ),
        (lambda x: x @ x, r"does not take .*in layers\.1 at .*test_refusals.py:\d+"),
    ],
)
def test_an_operator_is_named_with_its_place(
    function: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(ExportError, match=message) as error:
        export_program(Network(function), SHAPE)
    assert "Traceback" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_branch_on_a_value_is_exported_as_the_example_takes_it() -> None:
    def either(x: Tensor) -> Tensor:
        return torch.tanh(x) if x.sum() > 0 else x - float(x.max())

    for inputs in (torch.ones(SHAPE), -torch.ones(SHAPE)):
        program, data = export_program(Function(either), inputs)
        assert program.exporter.endswith(", on the branches of its example")
        assert disagreement(running.results(data, inputs), [either(inputs)], 1e-5) is None


def test_lazy_weights() -> None:
    with pytest.raises(ExportError, match=r"weights are lazy .*: weight, bias: call the network"):
        export_program(nn.LazyLinear(4), SHAPE)


def test_too_many_weights_are_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = nn.Linear(64, 64, bias=False)
    monkeypatch.setattr(weights, "MAX_PROGRAM_BYTES", 3 * 64 * 64)
    monkeypatch.setattr(module, "__deepcopy__", lambda memo: pytest.fail("copied"), raising=False)
    with pytest.raises(ExportError, match=r"weights take .* in fp32, .*, or this one in fp16, or"):
        export_program(module, (1, 64))
    weights.check(module, Precision.INT8)


def test_weights_larger_than_the_devices_memory_are_refused_with_both_sizes() -> None:
    network = nn.Linear(1024, 1024, bias=False)
    with pytest.raises(ExportError, match=r"weights take 0.00391 GiB, .* has 0.00195 GiB"):
        export_program(network, (1, 1024), memory_bytes=2 << 20)
    weights.check(network, Precision.INT8, memory_bytes=2 << 20)


def test_operators_without_a_kernel_are_named_before_the_program_runs() -> None:
    with pytest.raises(ExportError, match="no kernel for aten::max_pool3d_with_indices"):
        export_program(nn.MaxPool3d(2), (1, 1, 4, 4, 4))


def test_an_operator_whose_output_depends_on_values_is_named() -> None:
    with pytest.raises(ExportError, match=r"data-dependent \(operator aten.nonzero.*torch.where"):
        export_program(Function(torch.nonzero), SHAPE)
