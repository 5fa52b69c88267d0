"""A network is taken apart into single operators, which are exported by themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latlab.export import export_program
from latlab.export.execution.example import Inputs
from latlab.export.operators import operators_of


class Block(nn.Module):
    """A block whose operators are of many kinds, two of which are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.again = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8)
        self.expand = nn.Linear(8, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.wide(x)).permute(0, 2, 3, 1)
        out: Tensor = nn.functional.gelu(self.expand(self.norm(x))) * 2.0
        return out


class Chooses(nn.Module):
    """A module whose control flow depends on a value's shape, and that takes integers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.words(x)
        return embedded.sum(1) if x.shape[1] > 2 else embedded


def block() -> tuple[nn.Module, Inputs]:
    torch.manual_seed(0)
    return Block(), (1, 8, 6, 6)


def chooses() -> tuple[nn.Module, Inputs]:
    return Chooses(), torch.tensor([[1, 2, 3]])


def test_each_distinct_operator_is_exported_by_itself() -> None:
    kinds = []
    for operator in operators_of(block):
        module, inputs = operator.make()
        program, _ = export_program(module, inputs)
        kinds.append({kernel.kind for kernel in program.kernels} - {"transpose"})
    assert [k for k in kinds if "depthwise_conv2d" in k] == [{"depthwise_conv2d"}]
    assert {kind for k in kinds for kind in k} >= {"depthwise_conv2d", "fully_connected", "gelu"}
    assert any("native_layer_norm" in kind for k in kinds for kind in k)


def test_an_operator_is_named_by_what_it_computes_and_knows_its_shapes() -> None:
    operators = operators_of(block)
    names = [operator.name for operator in operators]
    assert len(set(names)) == len(names)
    convolution = operators[0]
    assert "Conv2d" in convolution.name
    assert set(convolution.shapes) == {(1, 8, 6, 6)}


def test_integers_keep_their_values() -> None:
    embedding = operators_of(chooses)[0]
    module, inputs = embedding.make()
    assert isinstance(inputs, tuple)
    assert module(*inputs).shape == (1, 3, 4)
