"""Where the kernels of exported programs come from in the user's code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from latlab.client.modules import exported
from latlab.domain.precision import Precision
from latlab.domain.program import KernelSource, ProgramFile, TensorSpec
from latlab.export import ExportSpec, ProgramCache, export_program
from latlab.export.exporter import Exported, export_with_sources
from latlab.export.pool import _export
from latlab.export.sources.files import shown_file
from latlab.export.sources.nodes import RunningCode
from latlab.export.user_network import UserNetwork

IMAGE = TensorSpec((1, 3, 8, 8))
MODEL = """
import torch
from torch import nn
from torch.nn import functional as F

def gated(x, gate):
    y = torch.sigmoid(gate(x))  # gate
    return x * y  # product

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        y = F.relu(self.norm(self.conv(x)))  # block
        return x + y  # residual

class Direct(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6())
        self.block = Block()
        self.gate = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def features(self, x):
        x = self.block(self.stem(x))  # stem
        return gated(x, self.gate)

    def forward(self, x):
        x = self.features(x).mean((2, 3), keepdim=True)  # mean
        return self.head(x.flatten(1))  # head

class Stock(Direct):
    def forward(self, x):
        x = self.features(x).flatten(2)
        x = torch.addmm(self.head.bias, x.mean(2), self.head.weight.t())  # addmm
        x = torch.cumsum(x, 1)  # cumsum
        return x * 2  # twice

class Plain(nn.Sequential):
    def __init__(self):  # init
        super().__init__(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Tanh()))

class Encoding(Direct):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x):
        return self.layer(self.stem(x).flatten(2).transpose(1, 2))  # layer

class Branching(Direct):
    def forward(self, x):
        x = self.stem(x)  # only stem
        if x.sum() > 1e9:
            return torch.tanh(x)
        return torch.sigmoid(x)  # sigmoid
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line(comment: str) -> int:
    [number] = [
        number
        for number, text in enumerate(MODEL.splitlines(), 1)
        if text.endswith(f"  # {comment}")
    ]
    return number


def source(module: str, kind: str, comment: str) -> KernelSource:
    return KernelSource(module, kind, "net.py", line(comment))


STEM = source("stem.0", "Conv2d", "stem")
CONV = source("block.conv", "Conv2d", "block")
SUM = source("block", "Block", "residual")
GATE = source("gate", "Conv2d", "gate")


def kernels_from(name: str, precision: Precision = Precision.FP32) -> list[tuple[str, object]]:
    return listed(export_with_sources(*UserNetwork(f"net.py:{name}", (IMAGE,)).load(), precision))


def listed(exported: Exported) -> list[tuple[str, object]]:
    kinds = [kernel.kind for kernel in exported.program.kernels]
    return list(zip(kinds, exported.sources, strict=True))


def test_each_kernel_of_a_direct_program_has_the_line_that_calls_it() -> None:
    mean = source("", "Direct", "mean")
    head = source("", "Direct", "head")
    assert kernels_from("Direct") == [
        ("transpose", STEM),  # which XNNPACK's layout needs
        ("conv2d", STEM),  # with its activation
        ("conv2d", CONV),  # with its batch normalization and activation
        ("add", SUM),
        ("conv2d", GATE),
        ("sigmoid", source("", "Direct", "gate")),
        ("multiply", source("", "Direct", "product")),
        ("global_avg_pool2d", mean),
        ("transpose", head),
        ("reshape", head),
        ("fully_connected", source("head", "Linear", "head")),
    ]


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_each_kernel_of_a_stock_program_has_the_line_that_calls_it(precision: Precision) -> None:
    found = kernels_from("Stock", precision)
    assert None not in dict(found).values()
    for kernel in (
        ("conv2d", STEM),
        ("conv2d", CONV),
        ("add", SUM),
        ("conv2d", GATE),
        ("sigmoid", source("", "Stock", "gate")),  # in int8 one look-up table
        ("multiply", source("", "Stock", "product")),
        ("portable:cumsum", source("", "Stock", "cumsum")),
        ("multiply", source("", "Stock", "twice")),
    ):
        assert kernel in found
    matrix_product = [kernel for kernel in found if "addmm" in kernel[0] or "fully" in kernel[0]]
    assert source("", "Stock", "addmm") in dict(matrix_product).values()


def test_a_network_that_branches_on_values_has_its_own_module_paths() -> None:
    found = kernels_from("Branching")
    assert ("conv2d", source("stem.0", "Conv2d", "only stem")) in found
    assert ("sigmoid", source("", "Branching", "sigmoid")) in found


def test_a_part_of_a_layer_of_pytorch_has_its_path_and_the_line_that_calls_the_layer() -> None:
    found = kernels_from("Encoding")
    assert ("fully_connected", source("layer.linear1", "Linear", "layer")) in found


def test_an_exported_program_names_the_lines_that_it_was_exported_from() -> None:
    module, _ = UserNetwork("net.py:Direct", (IMAGE,)).load()
    torch.export.save(torch.export.export(module.eval(), (torch.randn(1, 3, 8, 8),)), "net.pt2")
    found = listed(export_with_sources(*UserNetwork("net.pt2").load()))
    assert {("conv2d", CONV), ("add", SUM)} <= set(found)
    stem = source("stem.0", "Conv2d", "mean")  # torch.export records lines of forward alone
    assert ("conv2d", stem) in found


@pytest.mark.parametrize("name", ["Direct", "Stock"])
def test_programs_do_not_depend_on_their_sources(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = UserNetwork(f"net.py:{name}", (IMAGE,)).load()
    program, data = export_program(*network)
    monkeypatch.setattr(RunningCode, "source", lambda *args: None)
    assert export_program(*network) == (program, data)


def test_the_cache_and_the_client_keep_sources(folder: Path) -> None:
    spec = ExportSpec("direct", UserNetwork("net.py:Direct", (IMAGE,)).load)
    file, _ = _export(spec, ProgramCache(folder / "cache"))  # as a worker does
    assert isinstance(file, ProgramFile)
    assert STEM in file.sources
    assert ProgramCache(folder / "cache").get("direct") == file
    module, inputs = spec.make()
    with exported(module, inputs, Precision.FP32) as again:
        assert again.sources == file.sources


def test_a_network_without_a_forward_method_has_the_line_of_its_init() -> None:
    assert dict(kernels_from("Plain")) == {
        "transpose": source("1.0", "Tanh", "init"),
        "conv2d": source("0", "Conv2d", "init"),
        "tanh": source("1.0", "Tanh", "init"),
    }


def test_layers_without_code_of_the_user_have_their_module_paths_only() -> None:
    sources = export_with_sources(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()), IMAGE).sources
    assert set(sources) == {KernelSource("0", "Conv2d"), KernelSource("1", "Tanh")}


def test_files_are_never_named_by_an_absolute_path(folder: Path) -> None:
    assert shown_file("net.py") == "net.py"
    assert shown_file(str(folder / "models" / "net.py")) == "models/net.py"
    installed = folder / ".venv" / "lib" / "site-packages" / "torchvision" / "models" / "vgg.py"
    assert shown_file(str(installed)) == "torchvision/models/vgg.py"
    assert shown_file("/nowhere/at/all/net.py") == "net.py"


def test_files_of_a_package_elsewhere_are_named_from_its_top_folder_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = folder / "src" / "nets" / "small"
    package.mkdir(parents=True)
    for part in (package, package.parent):
        (part / "__init__.py").touch()
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")
    assert shown_file(str(package / "tiny.py")) == "nets/small/tiny.py"
