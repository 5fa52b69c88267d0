"""Networks of users: where they are found, and what is said where they are not."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.program import TensorSpec
from latlab.export.execution.example import example_of
from latlab.export.user_network import UserNetwork

INPUT = TensorSpec((1, 4))

MODEL = """
import torch
from torch import nn
from layers import Layer

class Model(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layer = Layer(width)

    def forward(self, x, mask=None):
        return self.layer(x)

model = Model()
number = 3

def example_inputs():
    return {"mask": torch.ones(1, 4).bool(), "x": torch.randn(1, 4)}

def needs(width, *, depth):
    return Model(width)

def fails():
    return nn.Linear(4, "8")
"""
LAYERS = """
from torch import nn

class Layer(nn.Linear):
    def __init__(self, width):
        super().__init__(4, width)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my networks, größer"
    folder.mkdir()
    (folder / "the model.py").write_text(MODEL)
    (folder / "layers.py").write_text(LAYERS)
    return folder


@pytest.mark.parametrize("name", ["Model", "model"])
def test_a_network_of_a_file(folder: Path, name: str) -> None:
    network = UserNetwork(f"{folder}/the model.py:{name}", (INPUT,))
    random, folders = torch.get_rng_state(), list(sys.path)
    module, inputs = pickle.loads(pickle.dumps(network)).load()
    again, _ = network.load()
    assert torch.equal(torch.get_rng_state(), random)
    assert sys.path == folders
    assert inputs == (INPUT,)
    assert torch.equal(again.layer.weight, module.layer.weight)  # type: ignore
    assert module(torch.randn(1, 4)).shape == (1, 8)
    assert not list(folder.rglob("the model*.pyc"))


def test_networks_of_two_folders_have_neighbours_of_their_own(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "layers.py").write_text(LAYERS.replace("(4, width)", "(4, 2 * width)"))
    first, _ = UserNetwork(f"{folder}/the model.py:model").load()
    second, _ = UserNetwork(f"{tmp_path}/model.py:model").load()
    assert [len(module.layer.weight) for module in (first, second)] == [8, 16]  # type: ignore


def test_a_network_of_a_package_in_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pack").mkdir()
    (folder / "pack/model.py").write_text(MODEL)
    monkeypatch.chdir(folder)
    module, inputs = UserNetwork("pack.model:Model").load()
    assert list(example_of(module, inputs).kwargs) == ["x", "mask"]  # as forward names them


class Scaled(nn.Module):
    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        return torch.relu(x * scale)


def test_an_exported_program(tmp_path: Path) -> None:
    x, scale = torch.randn(2, 3), torch.randn(1)
    path = tmp_path / "größer.pt2"
    torch.export.save(torch.export.export(Scaled(), (x,), {"scale": scale}), path)
    module, inputs = UserNetwork(str(path)).load()
    example = example_of(module, inputs)
    assert [tuple(tensor.shape) for tensor in example.tensors] == [(2, 3), (1,)]
    assert torch.equal(module.eval()(*example.args, **example.kwargs), Scaled()(x, scale=scale))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("other.py:Model", "no file .*other.py: give the path"),
        ("other.pt2", "no file .*other.pt2: give the path"),
        ("the model.py", "names no network: give FILE.py:NAME"),
        ("the model.py:Modell", "has no Modell: it has Layer, Model, model, needs, fails"),
        ("the model.py:needs", "needs the arguments width, depth: name a function without"),
        ("the model.py:number", "is of the type int: name a torch.nn.Module"),
        ("the model.py:fails", r"calling .*:fails fails at .*the model.py:24: TypeError"),
        ("layers.py:Layer", "needs the arguments width"),
        ("broken.py:Model", r"importing .*broken.py fails at .*broken.py:2: ModuleNotFoundError"),
        ("wrong.py:Model", r"importing .*wrong.py fails at .*wrong.py:1: SyntaxError"),
        ("script.py:Model", "importing .*script.py ends Python: run .* under if __name__"),
        ("broken.pt2", "broken.pt2 cannot be read as an exported program"),
        ("bare.py:model", r"the inputs of .*bare.py:model are not known: give --input"),
    ],
)
def test_what_cannot_be_loaded_is_explained(folder: Path, reference: str, message: str) -> None:
    (folder / "broken.py").write_text("import torch\nimport no_such_module\n")
    (folder / "wrong.py").write_text("class Model(:\n")
    (folder / "script.py").write_text("raise SystemExit(1)\n")
    (folder / "bare.py").write_text("from torch import nn\nmodel = nn.ReLU()\n")
    (folder / "broken.pt2").write_bytes(b"no archive")
    with pytest.raises(ExportError, match=message):
        UserNetwork(f"{folder}/{reference}").load()


def test_a_package_that_does_not_exist() -> None:
    with pytest.raises(ExportError, match="no module no_such_package: go to the folder"):
        UserNetwork("no_such_package.model:Model").load()
