"""Modules of several inputs, of any dtype, by position and by keyword."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.program import TensorSpec
from latlab.export import export_program
from latlab.export.execution import running
from latlab.export.execution.checking import disagreement
from latlab.export.execution.example import Inputs, example_of
from latlab.programs.reader import read_program

IDS = TensorSpec((1, 5), "int64", 0, 99)
MASK = TensorSpec((1, 5), "bool")


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 8)
        self.linear = nn.Linear(8, 4)

    def forward(self, ids: Tensor, mask: Tensor, scale: Tensor) -> dict[str, object]:
        x = torch.where(mask[..., None], self.linear(self.embedding(ids)), -1.0)
        return {"logits": [x * scale], "pooled": (x.mean(1), ids + 1)}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder().eval()


def test_keyword_inputs_of_several_dtypes_and_nested_outputs(encoder: Encoder) -> None:
    program, data = export_program(encoder, {"scale": (2, 1, 1), "mask": MASK, "ids": IDS})
    assert program.inputs == (IDS, MASK, TensorSpec((2, 1, 1)))
    listed = read_program(data).inputs
    assert [(spec.shape, spec.dtype) for spec in listed] == [
        (spec.shape, spec.dtype) for spec in program.inputs
    ]
    assert {"portable:embedding", "fully_connected"} <= {kernel.kind for kernel in program.kernels}
    ids, mask, scale = torch.randint(0, 100, (1, 5)), torch.rand(1, 5) > 0.5, torch.randn(2, 1, 1)
    with torch.no_grad():
        outputs = encoder(ids, mask, scale)
    expected = [*outputs["logits"], *outputs["pooled"]]
    assert disagreement(running.results(data, ids, mask, scale), expected, 1e-5) is None


def test_an_example_has_the_ranges_of_its_integers(encoder: Encoder) -> None:
    ids = torch.tensor([[7, 3, 9, 3, 4]])
    given = example_of(encoder, (ids, MASK, (1,)))
    assert given.specs() == (TensorSpec((1, 5), "int64", 3, 9), MASK, TensorSpec((1,)))
    assert torch.equal(given.args[0], ids)
    assert given.args[0] is not ids
    drawn = example_of(encoder, [IDS, TensorSpec((50,), "int32"), TensorSpec((99,), "uint8")])
    assert drawn.specs()[1:] == (TensorSpec((50,), "int32"), TensorSpec((99,), "uint8"))
    assert set(drawn.args[1].tolist()) == {0, 1}
    assert drawn.args[2].max() > 127
    again = example_of(encoder, [IDS, TensorSpec((50,), "int32"), TensorSpec((99,), "uint8")])
    assert all(map(torch.equal, drawn.args, again.args))
    assert not torch.equal(drawn.redrawn(1).args[1], drawn.args[1])


def test_two_inputs_of_a_shape_have_values_of_their_own() -> None:
    first, second = example_of(nn.Identity(), [(2, 3), (2, 3)]).args
    assert not torch.equal(first, second)


@pytest.mark.parametrize("spec", [TensorSpec((4,), "int64", -(2**63), 2**63 - 1), MASK])
def test_any_range_can_be_drawn(spec: TensorSpec) -> None:
    [x] = example_of(nn.Identity(), spec).args
    assert x.min() < x.max()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([(1, 5)], "does not take .*missing 2 required positional .* 'mask' and 'scale'.*: give"),
        ({"ids": IDS, "masks": MASK}, "unexpected keyword argument 'masks'"),
        ([(1, 5), MASK, (1,)], r"'indices'.*test_inputs.py:\d+\): give .*--input 1x128:int64"),
        ([TensorSpec((1, 5), "int64", 100, 100), MASK, (1,)], "in embedding at .*: give the range"),
        ({}, "is given no inputs: give one"),
        ([torch.zeros(2, dtype=torch.complex64)], "an input is complex64: give one of float32, "),
        ([torch.zeros(2, device="meta")], "an input lies on meta"),
        ([torch.zeros(0, 2)], r"shape \(0, 2\) holds nothing"),
        ([IDS, "mask"], "an input is a str: give a tensor"),
    ],
)
def test_inputs_that_the_network_does_not_take(
    encoder: Encoder, inputs: Inputs, message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export_program(encoder, inputs)
